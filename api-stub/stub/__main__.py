"""`python -m stub`: reads the settings, serves until SIGTERM, and answers the requests that it has."""

import asyncio
import math
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from stub import logs
from stub.app import Stub, make_app
from stub.connection import Connection, ConnectionLimits, connection_class
from stub.settings import SettingError, Settings, read_settings
from stub.store import Store
from stub.store_mongo import MongoStore
from stub.store_sqlite import SqliteStore

MANY_DESCRIPTORS = 65_536
SPARE_DESCRIPTORS = 100  # for the store, the listener and the logs
SWITCH_INTERVAL = 0.0005  # seconds that a store's thread may wait for the event loop; Python's default is 0.005
EXIT_REFUSED = 4  # as everywhere in the project: the start was refused


def make_store(settings: Settings) -> Store:
    """Return the store for the URL's scheme. Raises SettingError if its file cannot be created."""
    if settings.store_url.startswith("sqlite:///"):
        path = Path(settings.store_url.removeprefix("sqlite:///")).absolute()
        if not os.access(path.parent, os.W_OK | os.X_OK) or path.is_dir():
            raise SettingError(f"STORE_URL must name a file in a folder that can be written to, got {path}")
        return SqliteStore(path, settings.store_timeout)
    return MongoStore(settings.store_url, settings.store_timeout)


class Server(uvicorn.Server):
    """A server that prints its address when it listens and the store is open."""

    def __init__(self, config: uvicorn.Config, stub: Stub) -> None:
        super().__init__(config)
        self._stub = stub
        self._announcement: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce."""
        await super().startup(sockets)
        if self.started:
            self._announcement = asyncio.create_task(self._announce())

        self._checking = asyncio.create_task(self._check_connections())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Release the requests that hang on purpose, then answer the rest."""
        self._stub.injector.stopping.set()
        await super().shutdown(sockets)
        self._checking.cancel()

    async def _check_connections(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(1)
            now = loop.time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.check(now)

    async def _announce(self) -> None:
        await self._stub.ready.wait()
        settings = self._stub.settings
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"api stub on http://{settings.host}:{port} ({settings.shown_store})\n")
        sys.stdout.flush()


def make_server(settings: Settings) -> Server:
    """Make the server; it does not listen yet."""
    app = make_app(settings, make_store(settings))
    limits = ConnectionLimits(
        connections=min(settings.max_connections, _descriptors() - SPARE_DESCRIPTORS),
        head_timeout=settings.head_timeout,
        body_timeout=settings.body_timeout,
        idle_timeout=settings.idle_timeout,
        linger_timeout=settings.linger_timeout,
    )
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=connection_class(limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=math.ceil(settings.idle_timeout),
        timeout_graceful_shutdown=int(settings.stop_timeout) or 1,
    )
    return Server(config, app.state.stub)


def _descriptors() -> int:
    """Raise this process' limit of open files as far as allowed. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MANY_DESCRIPTORS)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


def _stopped(_signal: int, _frame: FrameType | None) -> None:
    """Ignore the signal that uvicorn raises again after an orderly stop, so that the exit code is 0."""


def main() -> int:
    """Run the stub; returns the exit code."""
    logs.set_up()
    sys.setswitchinterval(SWITCH_INTERVAL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    try:
        server = make_server(read_settings())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve())
    except SettingError as e:
        sys.stderr.write(f"the stub does not start: {e}\n")
        return EXIT_REFUSED
    except SystemExit:  # from uvicorn, which has logged why: the port is taken, or the store cannot be opened
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
