"""Get the other generators, and say of those that cannot be had why.

    python bench/peers.py

wrk and hey are Debian packages, installed where this is root on Debian. autocannon (npm), locust-plugins and aiolocust
(PyPI) go into folders of their own below the user's cache, or below BENCH_CACHE. k6 is used where it is on the PATH.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

AUTOCANNON = "9.0.0"
LOCUST_PLUGINS = "5.0.3"
AIOLOCUST = "0.12.7"
INSTALL_S = 300


@dataclass(frozen=True)
class Peer:
    """A generator: its command and its version, or why it is missing."""

    command: tuple[str, ...] = ()
    version: str = ""
    missing: str = ""


class MissingError(Exception):
    """A peer cannot be had; the text says why."""


def _run(*command: object) -> str:
    """Return what a command writes. MissingError, with its last line, if it fails."""
    try:
        done = subprocess.run(
            list(map(str, command)),
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=INSTALL_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(str(error)) from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing said"]
        raise MissingError(f"{Path(str(command[0])).name} failed: {said[-1]:.120}")
    return done.stdout


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("BENCH_CACHE") or Path(home) / "traffic-replayer-bench")


def _from_debian(name: str) -> str:
    found = shutil.which(name)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", name)
        found = shutil.which(name)
    if found is None:
        raise MissingError(f"not on the PATH (on Debian: apt-get install {name})")
    return found


def wrk() -> Peer:
    """wrk, which is written in C."""
    path = _from_debian("wrk")
    said = subprocess.run([path, "-v"], capture_output=True, text=True, check=False).stdout
    return Peer((path,), _number(said))


def hey() -> Peer:
    """hey, which is written in Go."""
    path = _from_debian("hey")
    return Peer((path, "-cpus", "1"), _run("dpkg-query", "-W", "-f", "${Version}", "hey"))


def autocannon() -> Peer:
    """autocannon, which runs on Node."""
    node = shutil.which("node")
    if node is None:
        raise MissingError("there is no node on the PATH")
    folder = _cache() / f"autocannon-{AUTOCANNON}"
    script = folder / "node_modules/autocannon/autocannon.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _run("npm", "install", "--silent", "--no-package-lock", "--prefix", folder, f"autocannon@{AUTOCANNON}")
    return Peer((node, str(script)), f"{AUTOCANNON}, Node {_number(_run(node, '--version'))}")


def k6() -> Peer:
    """k6, which is written in Go."""
    path = shutil.which("k6")
    if path is None:
        raise MissingError("not on the PATH")
    return Peer((path, "run", "--quiet"), _number(_run(path, "version")))


def distributor() -> Peer:
    """locust-plugins, with the Locust that this project runs on: the Python that has both."""
    folder = _from_pypi("locust-plugins", LOCUST_PLUGINS, f"locust=={version('locust')}")
    return Peer((str(folder / "bin/python"),), LOCUST_PLUGINS)


def aiolocust() -> Peer:
    """aiolocust, on asyncio. It asks for Python 3.14 or newer; one loop, as it has one core."""
    if tuple(sys.version_info) < (3, 14):
        raise MissingError("it needs Python 3.14 or newer")
    folder = _from_pypi("aiolocust", AIOLOCUST)
    return Peer((str(folder / "bin/aiolocust"),), AIOLOCUST)


def _from_pypi(name: str, release: str, *more: str) -> Path:
    """A virtual environment of this Python that has a package."""
    python = ".".join(map(str, sys.version_info[:2]))
    folder = _cache() / f"{name}-{release}-python{python}"
    if not (folder / "complete").exists():
        _run(sys.executable, "-m", "venv", "--clear", folder)
        _run(
            folder / "bin/python",
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            f"{name}=={release}",
            *more,
        )
        (folder / "complete").touch()
    return folder


GET: dict[str, Callable[[], Peer]] = {
    "wrk": wrk,
    "hey": hey,
    "autocannon": autocannon,
    "k6": k6,
    "distributor": distributor,
    "aiolocust": aiolocust,
}


def get(names: list[str]) -> dict[str, Peer]:
    """Those of `names` that are peers, by their names; each that cannot be had says why, here and on stderr."""
    found = {}
    for name in names:
        if name in GET:
            try:
                found[name] = GET[name]()
            except MissingError as error:
                found[name] = Peer(missing=str(error))
                print(f"{name} is left out: {error}", file=sys.stderr)
    return found


def _number(said: str) -> str:
    found = re.search(r"\d+(\.\d+)+", said)
    return found[0] if found else "?"


if __name__ == "__main__":
    for name, peer in get(list(GET)).items():
        print(name, peer.version or f"is not there: {peer.missing}")
