"""`python -m stub`: reads the settings, serves until SIGTERM, finishes what it has."""

import asyncio
import logging
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from stub.app import Stub, make_app
from stub.settings import SettingError, Settings, read_settings
from stub.store import Store
from stub.store_mongo import MongoStore
from stub.store_sqlite import SqliteStore

EXIT_REFUSED = 4  # as everywhere in the project: it refused to start


def make_store(settings: Settings) -> Store:
    """Choose the store by the URL's scheme. Raises SettingError for a file that cannot be made."""
    if settings.store_url.startswith("sqlite:///"):
        path = Path(settings.store_url.removeprefix("sqlite:///")).absolute()
        if not os.access(path.parent, os.W_OK | os.X_OK) or path.is_dir():
            raise SettingError(f"STORE_URL must name a file in a folder that can be written to, got {path}")
        return SqliteStore(path, settings.store_timeout)
    return MongoStore(settings.store_url, settings.store_timeout)


class Server(uvicorn.Server):
    """A server that says where it is once it listens and the store is open."""

    def __init__(self, config: uvicorn.Config, stub: Stub) -> None:
        super().__init__(config)
        self._stub = stub
        self._announcement: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then announce."""
        await super().startup(sockets)
        if self.started:
            self._announcement = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        await self._stub.ready.wait()
        settings = self._stub.settings
        port = self.servers[0].sockets[0].getsockname()[1]
        sys.stdout.write(f"api stub on http://{settings.host}:{port} ({settings.shown_store})\n")
        sys.stdout.flush()


def make_server(settings: Settings) -> Server:
    """Put the server together, not yet listening."""
    app = make_app(settings, make_store(settings))
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=int(settings.stop_timeout) or 1,
    )
    return Server(config, app.state.stub)


def _stopped(_signal: int, _frame: FrameType | None) -> None:
    """Take the signal that uvicorn raises again after it has stopped in order: the exit code is then 0."""


def main() -> int:
    """Run the stub; returns the exit code."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stopped)
    try:
        server = make_server(read_settings())
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve())
    except SettingError as e:
        sys.stderr.write(f"the stub does not start: {e}\n")
        return EXIT_REFUSED
    except SystemExit:  # uvicorn's, after it has said why: the port is taken, or the store cannot be opened
        return EXIT_REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main())
