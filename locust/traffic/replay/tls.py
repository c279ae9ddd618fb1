"""TLS as a change of bytes into bytes: it has no socket, so the connection sends and receives as without it."""

import ssl


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
