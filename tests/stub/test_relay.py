"""The relay passes bytes both ways, and ends and resets."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from stub.relay import EXIT_REFUSED, Relay, main
from support.mongod import free_port

pytestmark = pytest.mark.anyio

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
MEGABYTE = 2**20


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def through_the_relay(port: int) -> AsyncIterator[Connection]:
    async with asyncio.timeout(30), await Relay("127.0.0.1", port).listen(0) as relay:
        reader, writer = await asyncio.open_connection("127.0.0.1", relay.sockets[0].getsockname()[1])
        yield reader, writer
        writer.close()


@asynccontextmanager
async def to(serve: Serve) -> AsyncIterator[Connection]:
    async with (
        await asyncio.start_server(serve, "127.0.0.1", 0) as beyond,
        through_the_relay(beyond.sockets[0].getsockname()[1]) as connection,
    ):
        yield connection


async def test_what_is_sent_comes_back_and_an_end_of_sending_is_no_end_of_receiving() -> None:
    async def echo_when_all_is_there(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    sent = bytes(range(256)) * (4 * MEGABYTE // 256)
    async with to(echo_when_all_is_there) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == sent


async def test_who_does_not_read_holds_up_the_sender() -> None:
    taken = 0

    async def pour(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal taken
        for _ in range(64):
            writer.write(b"x" * MEGABYTE)
            await writer.drain()
            taken += 1
        writer.close()

    async with to(pour) as (reader, _):
        await reader.readexactly(1)
        seen = -1
        while seen != taken:  # until it stays the same
            seen = taken
            await asyncio.sleep(0.2)
        assert taken < 64
        assert len(await reader.read()) == 64 * MEGABYTE - 1


async def test_a_reset_beyond_is_a_reset_here() -> None:
    async def answer_and_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(2)
        reset(writer)

    async with to(answer_and_reset) as (reader, writer):
        writer.write(b"hi")
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_a_reset_here_is_a_reset_beyond() -> None:
    ended: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"ready")
        try:
            ended.set_result(await reader.read())
        except ConnectionResetError as e:
            ended.set_exception(e)
        writer.close()

    async with to(wait_for_the_end) as (reader, writer):
        await reader.readexactly(5)
        reset(writer)
        with pytest.raises(ConnectionResetError):
            await ended


async def test_where_nothing_listens_a_connection_is_reset_and_the_log_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    port = free_port()
    async with through_the_relay(port) as (reader, _):
        with pytest.raises(ConnectionResetError):
            await reader.read()
    assert f"127.0.0.1:{port} accepts no connection" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["4000"], ["x", "api:4000"], ["4000", "api"], ["4000", "api:x"]])
async def test_arguments_that_cannot_be_used_refuse_the_start(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, arguments) == EXIT_REFUSED
    assert "Usage: python -m stub.relay PORT HOST:PORT" in capsys.readouterr().err
