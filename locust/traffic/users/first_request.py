"""Show what will be sent, before it is: a record as its whole request, with secrets masked."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from traffic.clock import timestamp_of, wall_ms
from traffic.core.headers import Field, masked
from traffic.core.protocol import RunConfig
from traffic.core.reading import BODIES, REQUESTS
from traffic.core.text import count_records
from traffic.dataset.dataset import Dataset
from traffic.http.resolver import Target
from traffic.settings import Settings
from traffic.users.request_maker import RequestMaker

# What stands in the place of what only a run knows.
RUN, WORKER, HOST = "RUN", "WORKER", "http://HOST"
_BODY_SHOWN = 4096


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """A request for people. `body` is its first `_BODY_SHOWN` bytes as text, None if it is no text; `size` is all.

    `header_file` names the file whose headers come on top; only the workers read it.
    """

    method: str
    url: str
    headers: tuple[Field, ...]
    body: str | None
    size: int
    header_file: str = ""

    def lines(self) -> list[str]:
        """Return the request as it stands on the wire, a line each."""
        head = [f"{self.method} {self.url}", *(f"{name}: {value}" for name, value in self.headers)]
        if self.header_file:
            head.append(f"(and the headers of {self.header_file}, which each worker reads)")
        if not self.size:
            return head
        if self.body is None:
            return [*head, "", f"({self.size} bytes that are no text)"]
        rest = [f"(the first {_BODY_SHOWN} of {self.size} bytes)"] if self.size > _BODY_SHOWN else []
        return [*head, "", *self.body.splitlines(), *rest]

    def to_json(self) -> dict[str, Any]:
        """Return the request as a JSON object."""
        return {
            "method": self.method,
            "url": self.url,
            "headers": [list(field) for field in self.headers],
            "header_file": self.header_file or None,
            "body": self.body,
            "bytes": self.size,
        }


def first_request(
    dataset: Dataset, settings: Settings, host: str, own: Mapping[str, str] | None = None
) -> FirstRequest:
    """Return the request of the first record that a run with these settings sends in the order of the file.

    `own` are the headers of the user class. ValueError if a header cannot be sent.
    """
    index = min(settings.offset, dataset.records - 1)
    record = dataset.bodies(np.array([index], np.uint64))[0]
    if settings.stamp is not None:
        record = settings.stamp.added(record, wall_ms())
    records = REQUESTS if settings.reading.makes_requests else BODIES
    config = RunConfig(RUN, settings.method, settings.path, (0.0, 0.0), 1, settings.policy, records=records)
    target = Target.of(host or HOST)
    maker = RequestMaker(config, target, WORKER, own or {}, settings.header)
    head, _, body = maker.request(index, record).partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, path, _ = line.split(" ")
    pairs = tuple((name, masked(name, value.strip())) for name, _, value in (one.partition(":") for one in fields))
    scheme = "https" if target.tls else "http"
    url = f"{scheme}://{target.host if (host or HOST).startswith('http') else 'HOST'}{path}"
    return FirstRequest(method, url, pairs, _as_text(body), len(body), str(settings.header_file or ""))


def _as_text(body: bytes) -> str | None:
    shown = body[:_BODY_SHOWN]
    try:
        # The cut may go through a character.
        return shown.decode("utf-8") if len(body) <= _BODY_SHOWN else shown.decode("utf-8", "ignore")
    except UnicodeDecodeError:
        return None


def describe_file(dataset: Dataset, file: Path) -> dict[str, Any]:
    """Return what is known of an opened file, as a JSON object."""
    return {
        "file": str(file),
        "format": dataset.label,
        "records": dataset.records,
        "digest": f"sha256:{dataset.digest}",
        "modified": timestamp_of(file.stat().st_mtime),
        "warnings": list(dataset.facts.warnings(file.name)),
        "types": [list(pair) for pair in dataset.facts.types],
    }


def describe_line(dataset: Dataset) -> str:
    """Return the same for people: `CSV with a header, semicolons, 100 records`."""
    return f"{dataset.label}, {count_records(dataset.records)}"
