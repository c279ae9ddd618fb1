"""Make a virtual environment from hashed requirement files: once, and again only when one of them has changed.

    python3 scripts/venv_setup.py .venv locust/requirements-build.txt locust/requirements.txt api-stub/requirements.txt

The project itself is installed last, so that the environment runs what lies in this folder. It is built by the backend
that is in the environment by then, and nothing is fetched for it.

Calls at the same time wait for each other. Old Pythons can read this file, so that it can say what they lack. It
writes to stderr alone: stdout belongs to the program that comes after it.
"""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11)
STAMP = ".requirements.json"
PROJECT = "pyproject.toml"
PIP = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input", "--root-user-action=ignore")


class SetupError(Exception):
    """The environment cannot be made; the text says why, and names a remedy."""


def too_old(version: "tuple[int, ...]") -> "str | None":
    """Return what to say to a user of this version of Python; None if it is new enough."""
    if version >= OLDEST:
        return None
    seen = ".".join(map(str, version[:3]))
    return f"Python 3.11 or newer is needed, and {sys.executable} is {seen}. Name another: make PYTHON=python3.12 ..."


def usable(venv: Path) -> bool:
    """Return whether `venv` is an environment whose Python is there and new enough."""
    try:
        text = (venv / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    version = re.search(r"^version(?:_info)? *= *(\d+)\.(\d+)", text, re.MULTILINE)
    new_enough = version is not None and (int(version[1]), int(version[2])) >= OLDEST
    return new_enough and (venv / "bin/python").exists()


def digests(files: "list[str]") -> "dict[str, str]":
    """Return the SHA-256 of each file that is there."""
    return {file: hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files if Path(file).is_file()}


def read_stamp(venv: Path) -> "dict[str, str]":
    """Return what is installed, as the digest of each requirement file; nothing if that is not known."""
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def make(venv: Path) -> None:
    """Make an empty environment; replace one that is broken."""
    if venv.exists() and any(venv.iterdir()) and not (venv / "pyvenv.cfg").exists():
        raise SetupError(f"{venv} is there and is no virtual environment. Move it away, or name another: make VENV=...")
    if subprocess.call([sys.executable, "-m", "venv", "--clear", str(venv)], stdout=sys.stderr):
        raise SetupError("the virtual environment could not be made. On Debian and Ubuntu: apt install python3-venv")


def install(venv: Path, files: "list[str]") -> None:
    """Install what the files require, unless it is installed."""
    wanted = digests(files)
    missing = [file for file in files if file not in wanted]
    if missing:
        raise SetupError(f"there is no {missing[0]}. Call this from the project's folder.")
    if not usable(venv):
        say(f"making {venv}")
        make(venv)
    if not any(venv.glob("lib/python3*/site-packages/pip")):  # other tools make environments without it
        run(venv, "-m", "ensurepip")
    stamp = read_stamp(venv)
    if wanted.items() <= stamp.items():
        return
    # What is installed from here on may belong to other versions of these files: forget those that have changed.
    kept = {file: digest for file, digest in digests(list(stamp)).items() if stamp[file] == digest}
    kept.update({PROJECT: stamp[PROJECT]} if PROJECT in stamp else {})
    write_stamp(venv, kept)
    say("installing " + ", ".join(files))
    run(venv, *PIP, "--require-hashes", *[word for file in files for word in ("-r", file)])
    write_stamp(venv, {**kept, **wanted})


def install_project(venv: Path) -> None:
    """Install the project of this folder, editable, unless it is installed as pyproject.toml describes it now."""
    wanted = {PROJECT: f"{digests([PROJECT])[PROJECT]} in {Path.cwd()}"}
    stamp = read_stamp(venv)
    if wanted.items() <= stamp.items():
        return
    write_stamp(venv, {file: digest for file, digest in stamp.items() if file != PROJECT})
    run(venv, *PIP, "--no-index", "--no-deps", "--no-build-isolation", "--editable", ".")
    write_stamp(venv, {**stamp, **wanted})


def run(venv: Path, *arguments: str) -> None:
    """Run the environment's Python. SetupError if it fails."""
    if subprocess.call([str(venv / "bin/python"), *arguments], stdout=sys.stderr):
        raise SetupError(f"{arguments[1]} could not install what is needed: its reason stands above")


def write_stamp(venv: Path, stamp: "dict[str, str]") -> None:
    """Write down what is installed."""
    (venv / STAMP).write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def say(what: str) -> None:
    """Write a line for the person who waits."""
    print(f"setup: {what}", file=sys.stderr, flush=True)


def main(arguments: "list[str]") -> int:
    """Run the command. Return its exit code."""
    complaint = too_old(sys.version_info[:3])
    if complaint is not None:
        say(complaint)
        return 1
    venv, files = Path(arguments[0]), arguments[1:]
    venv.parent.mkdir(parents=True, exist_ok=True)
    # The lock is on the folder that the environment lies in: no lock file is left, and --clear cannot remove it.
    lock = os.open(venv.parent, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        install(venv, files)
        install_project(venv)
    except SetupError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
