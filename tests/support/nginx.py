"""nginx as the API, configured by a test: its access log is what the test counts by."""

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.deadlines import until
from support.mongod import free_port

_CONFIGURATION = """
user {user};
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
  log_format told '$status $http_idempotency_key $connection';
  access_log {folder}/access.log told;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  default_type application/json;
  server {{
    listen {listen};
    {server}
  }}
}}
"""
POSTS = "location / { return 201 '{}'; }"


@dataclass(frozen=True)
class Posted:
    """A POST as the access log has it; `status` is what nginx answered, 499 if nobody waited for it any more."""

    status: int
    index: int
    connection: int


class Nginx:
    """A running nginx with its files in `folder`."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], port: int) -> None:
        self._folder, self._process, self.port = folder, process, port

    @property
    def url(self) -> str:
        """Its URL, if it listens on a port of 127.0.0.1."""
        return f"http://127.0.0.1:{self.port}"

    def posted(self) -> list[Posted]:
        """The POSTs so far, in the order in which they ended."""
        lines = (line.split() for line in (self._folder / "access.log").read_text().splitlines())
        return [
            Posted(int(status), int(key.rpartition("-")[2]), int(number)) for status, key, number in lines if key != "-"
        ]

    def times(self) -> Counter[int]:
        """How many times each record was POSTed."""
        return Counter(post.index for post in self.posted())

    def reload(self) -> None:
        """As `nginx -s reload` does: new workers take over, the old ones finish what they are at."""
        self._process.send_signal(signal.SIGHUP)

    def reloads(self) -> int:
        """How many worker processes have been let go so far, or are about to be."""
        return (self._folder / "error.log").read_text().count("gracefully shutting down")


@contextlib.contextmanager
def running_nginx(folder: Path, server: str = POSTS, listen: str = "", debug: str = "warn") -> Iterator[Nginx]:
    """Run one for the length of a block; `listen` is what it listens to, {port} a free port.

    Without nginx the test is skipped; under CI=true, where it is to be there, it fails.
    """
    path = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("no nginx on this machine")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    where = (listen or "127.0.0.1:{port}").replace("{port}", str(port))
    told = _CONFIGURATION.format(user=getpass.getuser(), folder=folder, listen=where, server=server)
    file = folder / "nginx.conf"
    file.write_text(told.replace("error.log warn", f"error.log {debug}"))
    log = folder / "error.log"
    process = subprocess.Popen([path, "-c", str(file), "-e", str(log)], stderr=subprocess.DEVNULL)
    try:
        until(
            lambda: (folder / "nginx.pid").exists() and (folder / "nginx.pid").read_text(),
            "nginx is up",
            tell=lambda: log.read_text() if log.exists() else "it has written no log",
        )
        yield Nginx(folder, process, port)
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def mute_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield int(listener.getsockname()[1])
