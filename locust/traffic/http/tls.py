"""TLS as a change of bytes into bytes: it has no socket, so the connection sends and receives as without it."""

import ssl

# What a server says that does not take our certificate. By TLS 1.3 it says so when the handshake is over for us, and a
# request is on its way to it (RFC 8446 4.4.2.4 and 6.2): it ends the connection then, and reads no request.
_REFUSALS = (
    *("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNSUPPORTED_CERTIFICATE", "CERTIFICATE_REVOKED"),
    *("CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "UNKNOWN_CA", "ACCESS_DENIED"),
)


def refused_us(error: Exception) -> bool:
    """Whether an error is the server's word that it does not take our certificate, or misses one."""
    reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
    return "_ALERT_" in reason and reason.endswith(_REFUSALS)


class Tls:
    """One connection's encryption. What is to be sent, handshake included, is taken by `outgoing`."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        self.ended = False

    def outgoing(self) -> bytes:
        """The encrypted bytes that wait to be sent."""
        return self._outgoing.read()

    def handshake(self, data: bytes = b"") -> bool:
        """Take what the server sent; whether the handshake is done. ssl.SSLError where it fails."""
        self._incoming.write(data)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def encrypt(self, data: bytes) -> bytes:
        """What to send for `data`."""
        self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """What the server said by `data`; perhaps nothing yet. Sets `ended` at its last word. ssl.SSLError."""
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
