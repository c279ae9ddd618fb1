"""`python -m stub.relay PORT HOST:PORT`: hands each connection on. Rule: not a byte is changed, nor how an end comes.

It holds the one port on the user's machine, whatever number of stubs is behind it (docs/adr/0003). A connection that
cannot be handed on is reset: where no API is, no answer may look like one.
"""

import asyncio
import socket
import struct
import sys

CONNECT_TIMEOUT = 5.0  # seconds
PART = 64 * 1024  # bytes carried at once
EXIT_REFUSED = 4  # as everywhere in the project: it refused to start
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for no time


class Relay:
    """Listens on every address, and hands on to one host, whose name is looked up for each connection anew."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def listen(self, port: int) -> asyncio.Server:
        """Begin to take connections; port 0 takes a free one."""
        return await asyncio.start_server(self._hand_on, "0.0.0.0", port)  # noqa: S104 - what is published is Compose's affair

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                beyond_reader, beyond = await asyncio.open_connection(self._host, self._port)
        except OSError as e:  # a TimeoutError is one, too
            sys.stderr.write(f"{self._host}:{self._port} takes no connection: {e or 'no answer'}\n")
            _reset(writer)
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_carry(reader, beyond))
                both.create_task(_carry(beyond_reader, writer))
        except* OSError:  # one side was reset, so the other is
            _reset(writer)
            _reset(beyond)
        finally:
            writer.close()
            beyond.close()


async def _carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Carry one direction to its end."""
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
        sys.stderr.write(f"the relay does not start: {e}. Say: python -m stub.relay PORT HOST:PORT\n")
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
