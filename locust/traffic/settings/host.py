"""The API's address, which comes from Locust's own --host or from a user class."""

import argparse
import os
import re
from urllib.parse import unquote, urlsplit

from traffic.environment import own_loopback
from traffic.settings.option import SettingsError

UNIX = "http+unix://"
_HOST = re.compile(r"(https?|http\+unix)://[^\s/?#]+(/[^\s?#]*)?")


def read_host(options: argparse.Namespace, by_class: str | None = None, *, unix_sockets: bool = True) -> str:
    """Return the API's address without a slash at its end, from --host, or else from the user class.

    It is an http or https URL, or, if the user classes can reach `unix_sockets`, http+unix:// with a socket's
    percent-encoded path in place of the host. SettingsError if it is neither: Locust's users would send nothing.
    """
    value = str(getattr(options, "host", None) or by_class or "").strip().rstrip("/")
    remedy = "Set --host, LOCUST_HOST or the form's field."
    if not _HOST.fullmatch(value):
        seen = repr(value) if value else "nothing"
        raise SettingsError(f"--host must be the API's address, such as http://127.0.0.1:4000, not {seen}. {remedy}")
    if value.startswith(UNIX) and not unquote(urlsplit(value).netloc.rpartition("@")[2]).startswith("/"):
        rule = (
            "--host must name a Unix socket by its whole path, percent-encoded, such as http+unix://%2Frun%2Fapi.sock"
        )
        raise SettingsError(f"{rule}, not {value!r}. {remedy}")
    if value.startswith(UNIX) and not unix_sockets:
        rule = f"--host {value!r} is a Unix socket, and of the user classes only a ReplayUser can reach one"
        raise SettingsError(
            f"{rule}. Use ReplayUsers alone (LOCUSTFILE=locust/replay_locustfile.py), or another address."
        )
    if (why := own_loopback(value, os.environ)) is not None:
        raise SettingsError(f"--host {value!r} is not reached from here: {why}.")
    return value
