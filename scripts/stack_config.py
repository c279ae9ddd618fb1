"""Read from the environment what stack.py should start, and check whether it can."""

import contextlib
import errno
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
HERE = "127.0.0.1"
DEFAULT_LOCUSTFILE = "locust/locustfile.py"


class CannotStartError(Exception):
    """Nothing was started; the text says why, and names a remedy."""


@dataclass(frozen=True, slots=True)
class StackConfig:
    """What to start. `host` None: the API stub, on `api_port`."""

    workers: int
    users: int
    spawn_rate: float
    locustfile: Path
    file: str
    host: str | None
    state: Path
    api_port: int
    web_port: int
    master_port: int

    @classmethod
    def read(cls, env: Mapping[str, str]) -> "StackConfig":
        """Read the variables. CannotStartError if one cannot be used."""
        users = _whole(env, "USERS", 20, 1, 1_000_000)
        return cls(
            workers=_whole(env, "WORKERS", 4, 1, 1000),
            users=users,
            spawn_rate=_rate(env, users),
            locustfile=_locustfile(env),
            file=env.get("FILE") or "data/traffic.json",
            host=_host(env),
            state=Path(env.get("STATE") or "state").absolute(),
            api_port=_whole(env, "API_PORT", 4000, 1, 65535),
            web_port=_whole(env, "WEB_PORT", 8089, 1, 65535),
            master_port=_whole(env, "MASTER_PORT", 5557, 1, 65535),
        )

    @property
    def target(self) -> str:
        """The URL of the API that the records go to."""
        return self.host or f"http://{HERE}:{self.api_port}"

    def locust(self, *more: str) -> list[str]:
        """Return Locust's command line: a master, with its workers as its children."""
        port = str(self.master_port)
        return [
            *(sys.executable, "-P", "-m", "locust", "-f", str(self.locustfile)),
            *("--processes", str(self.workers), "--users", str(self.users), "--spawn-rate", f"{self.spawn_rate:g}"),
            *("--master-bind-host", HERE, "--master-host", HERE, "--master-bind-port", port, "--master-port", port),
            *("--host", self.target, "--traffic-file", self.file, "--traffic-state-dir", str(self.state)),
            *more,
        ]


def _locustfile(env: Mapping[str, str]) -> Path:
    """Return one file or folder, or several with commas between them, as Locust accepts them."""
    given = env.get("LOCUSTFILE", "").strip() or DEFAULT_LOCUSTFILE
    named = [ROOT / one.strip() for one in given.split(",")]
    if missing := [path for path in named if not path.exists()]:
        rule = f"LOCUSTFILE must name a locustfile, not {given!r}: there is no {missing[0]}"
        raise CannotStartError(f"{rule}. Try LOCUSTFILE={DEFAULT_LOCUSTFILE}")
    return Path(",".join(map(str, named)))


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = env.get(name, "").strip() or str(default)
    if not (given.isascii() and given.isdigit() and least <= int(given) <= most):
        raise CannotStartError(
            f"{name} must be a whole number from {least} to {most}, not {given!r}. Try {name}={default}"
        )
    return int(given)


def _rate(env: Mapping[str, str], users: int) -> float:
    given = env.get("SPAWN_RATE", "").strip() or str(users)
    with contextlib.suppress(ValueError):
        if 0 < float(given) <= 1_000_000:  # noqa: PLR2004 - as many as there can be users
            return float(given)
    raise CannotStartError(f"SPAWN_RATE must be users a second, more than 0, not {given!r}. Try SPAWN_RATE={users}")


def _host(env: Mapping[str, str]) -> str | None:
    given = env.get("HOST", "").strip()
    if not given:
        return None
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        rule = "HOST must be a URL such as https://staging.example"
        raise CannotStartError(f"{rule}, not {given!r}. Without HOST (HOST=) the API stub is started")
    return given


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise CannotStartError if a program listens on one of `ports` (by variable), or if two are the same."""
    taken: dict[int, str] = {}
    for name, port in ports.items():
        fault = f"is {taken[port]}'s, too" if port in taken else _fault(port)
        if fault:
            raise CannotStartError(f"port {port} ({name}) {fault}. Choose another: {name}={free_port()}")
        taken[port] = name


def _fault(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HERE, port))
        except OSError as error:
            return "is in use by another program" if error.errno == errno.EADDRINUSE else f"fails: {error.strerror}"
    return None


def free_port() -> int:
    """Return a port that no program uses at this moment."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])
