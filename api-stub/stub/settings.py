"""The stub's settings, from the environment. Rule: a wrong setting refuses the start, with its name, value and rule."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from stub.faults import NO_FAULTS, FaultPlan, FaultPlanError, read_plan

MAX_BODY = 7 * 1024 * 1024  # a document holds the text at most twice, and MongoDB's limit is 16 MiB


class SettingError(ValueError):
    """A setting that cannot be used."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one stub process. Sizes are in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 4000
    store_url: str = "sqlite:///stub.sqlite"
    store_timeout: float = 5.0
    server_name: str = "stub"
    max_body: int = 1024 * 1024
    max_waiting: int = 10_000
    writers: int = 1
    body_timeout: float = 10.0
    stop_timeout: float = 20.0
    head_timeout: float = 10.0
    idle_timeout: float = 75.0
    linger_timeout: float = 10.0
    max_connections: int = 12_000
    misbehave: FaultPlan = NO_FAULTS
    misbehave_header: bool = True
    seed: int = 0

    @property
    def shown_store(self) -> str:
        """The store's URL without its password."""
        parts = urlsplit(self.store_url)
        user = parts.username
        if parts.scheme == "sqlite" or user is None:
            return self.store_url
        return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


def read_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings. Raises SettingError."""
    defaults = Settings()
    return Settings(
        host=env.get("STUB_HOST") or defaults.host,
        port=_whole(env, "STUB_PORT", defaults.port, 0, 65535),
        store_url=_store_url(env, defaults.store_url),
        store_timeout=_seconds(env, "STUB_STORE_TIMEOUT", defaults.store_timeout),
        server_name=env.get("STUB_SERVER_NAME") or socket.gethostname(),
        max_body=_whole(env, "STUB_MAX_BODY", defaults.max_body, 1, MAX_BODY),
        max_waiting=_whole(env, "STUB_MAX_WAITING", defaults.max_waiting, 1, 1_000_000),
        writers=_whole(env, "STUB_WRITERS", defaults.writers, 1, 64),
        body_timeout=_seconds(env, "STUB_BODY_TIMEOUT", defaults.body_timeout),
        stop_timeout=_seconds(env, "STUB_STOP_TIMEOUT", defaults.stop_timeout),
        head_timeout=_seconds(env, "STUB_HEAD_TIMEOUT", defaults.head_timeout),
        idle_timeout=_seconds(env, "STUB_IDLE_TIMEOUT", defaults.idle_timeout),
        linger_timeout=_seconds(env, "STUB_LINGER_TIMEOUT", defaults.linger_timeout),
        max_connections=_whole(env, "STUB_MAX_CONNECTIONS", defaults.max_connections, 1, 1_000_000),
        misbehave=_plan(env),
        misbehave_header=_switch(env, "STUB_MISBEHAVE_HEADER"),
        seed=_whole(env, "STUB_SEED", defaults.seed, 0, 2**63 - 1),
    )


def _whole(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = env.get(name)
    if not given:
        return default
    if not given.isdecimal() or not least <= int(given) <= most:
        raise SettingError(f"{name} must be a whole number from {least} to {most}, got {given!r}")
    return int(given)


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    given = env.get(name)
    if not given:
        return default
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 3600:  # noqa: PLR2004 - an hour
        raise SettingError(f"{name} must be a number of seconds, more than 0 and at most 3600, got {given!r}")
    return seconds


def _switch(env: Mapping[str, str], name: str) -> bool:
    given = env.get(name) or "on"
    if given not in ("on", "off"):
        raise SettingError(f"{name} must be on or off, got {given!r}")
    return given == "on"


def _plan(env: Mapping[str, str]) -> FaultPlan:
    given = env.get("STUB_MISBEHAVE")
    try:
        return read_plan(given) if given else NO_FAULTS
    except FaultPlanError as e:
        raise SettingError(f"STUB_MISBEHAVE: {e}") from e


def _store_url(env: Mapping[str, str], default: str) -> str:
    url = env.get("STORE_URL") or default
    scheme = urlsplit(url).scheme
    if scheme not in ("mongodb", "mongodb+srv", "sqlite"):
        raise SettingError(
            f"STORE_URL must begin with mongodb:// or sqlite:///, got {scheme or url!r}; for a file give"
            " sqlite:///relative.sqlite or sqlite:////absolute.sqlite"
        )
    if scheme == "sqlite" and not url.startswith("sqlite:///"):
        raise SettingError("STORE_URL for a file has three slashes and the path: sqlite:///relative.sqlite")
    return url if scheme == "sqlite" else _with_password(url, env)


def _with_password(url: str, env: Mapping[str, str]) -> str:
    """Put the password from its file into the URL."""
    name = "STORE_PASSWORD_FILE" if env.get("STORE_PASSWORD_FILE") else "MONGO_PASSWORD_FILE"
    path = env.get(name)
    if not path:
        return url
    parts = urlsplit(url)
    if not parts.username:
        raise SettingError(f"{name} is set, so STORE_URL must name a user: mongodb://user@host:27017/traffic")
    if parts.password:
        raise SettingError(f"{name} is set, so STORE_URL must not hold a password as well")
    try:
        password = Path(path).read_text(encoding="utf-8").strip("\r\n")
    except OSError as e:
        raise SettingError(f"{name}: cannot read {path}: {e.strerror}") from e
    if not password:
        raise SettingError(f"{name}: {path} is empty")
    hosts = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:{quote(password, safe='')}@{hosts}"))
