"""TLS that turns bytes into bytes: it has no socket, so the connection sends and receives as it does without TLS."""

import ssl

# The alerts of a server that does not accept our certificate. With TLS 1.3 they come when the handshake is over for us
# and a request is on its way (RFC 8446 4.4.2.4 and 6.2): the server ends the connection, and reads no request.
_REFUSALS = (
    *("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED"),
    *("CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED"),
)


def refuses_certificate(error: Exception) -> bool:
    """Return whether an error says that the server does not accept our certificate, or misses one."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    return "_ALERT_" in reason and reason.endswith(_REFUSALS)


class Tls:
    """One connection's encryption. `outgoing` returns the bytes to send, the handshake's included."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.ended = False

    def outgoing(self) -> bytes:
        """Remove and return the encrypted bytes that wait to be sent."""
        return self._outgoing.read()

    def handshake(self, data: bytes = b"") -> bool:
        """Read what the server sent; return whether the handshake is done. ssl.SSLError if it fails."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> bytes:
        """Return the bytes to send for `data`."""
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Return what the server said by `data`, perhaps nothing yet; set `ended` if it says no more. ssl.SSLError."""
        self._incoming.write(data)
        made = []
        try:
            while piece := self._object.read(1 << 16):
                made.append(piece)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(made)
