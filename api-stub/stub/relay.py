"""`python -m stub.relay PORT HOST:PORT` forwards TCP connections. Rule: bytes, ends and resets pass unchanged.

The relay holds the one port on the user's machine in front of any number of stubs (docs/adr/0003). It resets a
connection that it cannot forward: without an API there must be no answer that looks like one.
"""

import asyncio
import socket
import struct
import sys

CONNECT_TIMEOUT = 5.0  # seconds
PART = 64 * 1024  # bytes copied at once
EXIT_REFUSED = 4  # as everywhere in the project: it refused to start
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for no time


class Relay:
    """Listens on every address and forwards to one host, whose name it resolves for each connection."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def listen(self, port: int) -> asyncio.Server:
        """Begin to accept connections; port 0 takes a free one."""
        return await asyncio.start_server(self._forward, "0.0.0.0", port)  # noqa: S104 - Compose decides what is published

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                beyond_reader, beyond = await asyncio.open_connection(self._host, self._port)
        except OSError as e:  # TimeoutError is one
            sys.stderr.write(f"{self._host}:{self._port} accepts no connection: {e or 'no answer'}\n")
            _reset(writer)
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, beyond))
                both.create_task(_copy(beyond_reader, writer))
        except* OSError:  # one side was reset, so reset the other
            _reset(writer)
            _reset(beyond)
        finally:
            writer.close()
            beyond.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy one direction to its end."""
    while part := await source.read(PART):
        target.write(part)
        await target.drain()
    target.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    found: socket.socket = writer.get_extra_info("socket")
    if found.fileno() >= 0:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()


async def _serve(port: int, host: str, to_port: int) -> None:
    server = await Relay(host, to_port).listen(port)
    await server.serve_forever()


def main(arguments: list[str]) -> int:
    """Run until a signal; returns the exit code."""
    try:
        port, to = arguments
        host, _, to_port = to.rpartition(":")
        asyncio.run(_serve(int(port), host, int(to_port)))
    except (ValueError, OSError) as e:
        sys.stderr.write(f"the relay does not start: {e}. Usage: python -m stub.relay PORT HOST:PORT\n")
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
