"""Holds a run's report against what the API stored, in the manner of Jepsen's total-queue.

It trusts no counter of ours: it reads the traffic file with the standard library, the API's store row by row, and the
report as a claim. What the report calls delivered must be in the store, once, byte for byte; what it calls unsent must
not be; what it calls rejected or in doubt may be either.
"""

import csv
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_WHITE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Stored:
    """One message of the store: the key it came with (None: without one) and its body."""

    key: str | None
    payload: str


Source = str | Path | Callable[[], Iterable[Stored]]


@dataclass
class Verdict:
    """What the checker found: indexes, keys of what nobody asked for, and each way in which the report is not true."""

    records: int
    stored: int = 0
    lost: list[int] = field(default_factory=list)
    duplicated: list[int] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    lies: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.duplicated or self.unexpected or self.lies)

    def __str__(self) -> str:
        found: dict[str, Sequence[Any]] = {
            "lost": self.lost,
            "duplicated": self.duplicated,
            "unexpected": self.unexpected,
            "lies": self.lies,
        }
        return "; ".join(f"{len(what)} {name}: {what[:5]}" for name, what in found.items() if what) or "good"


def bodies(file: Path) -> list[str]:
    """Each record's text as it stands in the file."""
    text = file.read_bytes().decode("utf-8-sig")
    decoder, at, made = json.JSONDecoder(), text.index("[") + 1, list[str]()
    while True:
        while text[at] in _WHITE + ",":
            at += 1
        if text[at] == "]":
            return made
        stop = decoder.raw_decode(text, at)[1]
        made.append(text[at:stop])
        at = stop


def read_store(source: Source) -> list[Stored]:
    """All messages: of an SQLite file, of the collection `messages` of a MongoDB URL, or of what a call returns."""
    if callable(source):
        return list(source())
    if isinstance(source, str) and source.startswith("mongodb"):
        return _read_mongo(source)
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as db:
        rows = db.execute("SELECT key, payload FROM messages").fetchall()
    db.close()
    return [Stored(key, payload) for key, payload in rows]


def _read_mongo(url: str) -> list[Stored]:
    import pymongo  # noqa: PLC0415 - only rounds over MongoDB need it

    with pymongo.MongoClient[dict[str, Any]](url) as client:
        found = client.get_default_database("traffic")["messages"].find({}, {"key": True, "payload": True})
        return [Stored(document.get("key"), document["payload"]) for document in found]


@dataclass
class Claims:
    """What a run's folder says of it."""

    report: dict[str, Any]
    letters: list[dict[str, Any]]
    unsent: list[int]
    rows: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def read(cls, state: Path) -> "Claims":
        """Return the latest run of a state folder. OSError or ValueError if a file is missing or no JSON."""
        report = json.loads((state / "report.json").read_text())
        folder = state / "runs" / report["run"]
        letters = [json.loads(line) for line in (folder / "dead-letters.jsonl").read_text().splitlines()]
        unsent = [int(line) for line in (folder / "unsent.txt").read_text().split()]
        if not report.get("results"):
            return cls(report, letters, unsent)
        text = zstd.decompress((folder / "results.csv.zst").read_bytes()).decode()
        return cls(report, letters, unsent, list(csv.DictReader(text.splitlines())))

    @property
    def run(self) -> str:
        """The run id."""
        return str(self.report["run"])


def check(file: Path, store: Iterable[Stored], claims: Claims, exit_code: int | None = None) -> Verdict:
    """Judge a run. The store must be the run's alone; `exit_code` is the master's, None if unknown."""
    return _Check(bodies(file), list(store), claims, exit_code).verdict()


class _Check:
    def __init__(self, wanted: list[str], store: list[Stored], claims: Claims, exit_code: int | None) -> None:
        self.wanted, self.store, self.claims, self.exit_code = wanted, store, claims, exit_code
        self.made = Verdict(len(wanted), len(store))
        self.keys = {f"{claims.run}-{index}": index for index in range(len(wanted))}
        # Indexes that are in the store under their key with their body.
        self.there: set[int] = set()

    def verdict(self) -> Verdict:
        self._sort_store()
        self._find_duplicates()
        self._check_lists()
        self._check_counts()
        self._check_workers()
        self._check_audit()
        self._check_rows()
        return self.made

    def _sort_store(self) -> None:
        for row in self.store:
            index = self.keys.get(row.key or "")
            if index is None or row.payload != self.wanted[index]:
                self.made.unexpected.append(str(row.key))
            else:
                self.there.add(index)

    def _find_duplicates(self) -> None:
        """By key and by body: a record that was sent again under another key would escape a look at keys alone."""
        by_key = Counter(self.keys[row.key] for row in self.store if row.key in self.keys)
        may, has = Counter(self.wanted), Counter(row.payload for row in self.store)
        by_body = {index for index, body in enumerate(self.wanted) if has[body] > may[body]}
        self.made.duplicated = sorted(by_body | {index for index, times in by_key.items() if times > 1})

    def _check_lists(self) -> None:
        """The dead letters and the unsent are each a record of the file, listed once, and say what they must."""
        listed = [self._index_of(letter) for letter in self.claims.letters] + self.claims.unsent
        for index, times in Counter(listed).items():
            if not 0 <= index < len(self.wanted):
                self._lie(f"index {index} is listed, and the file has no such record")
            elif times > 1:
                self._lie(f"index {index} is listed {times} times among dead letters and unsent")
        undelivered = set(listed)
        self.made.lost = sorted(set(range(len(self.wanted))) - undelivered - self.there)
        for index in sorted(set(self.claims.unsent) & self.there):
            self._lie(f"index {index} is called unsent and is in the store")

    def _index_of(self, letter: dict[str, Any]) -> int:
        index = int(letter["index"])
        if letter["outcome"] not in ("rejected", "in_doubt"):
            self._lie(f"dead letter {index} has the outcome {letter['outcome']}")
        if letter["key"] != f"{self.claims.run}-{index}":
            self._lie(f"dead letter {index} has the key {letter['key']}")
        if 0 <= index < len(self.wanted) and letter["record"] != self.wanted[index]:
            self._lie(f"dead letter {index} holds another record")
        return index

    def _check_counts(self) -> None:
        counts = self.claims.report["counts"]
        outcomes = Counter(letter["outcome"] for letter in self.claims.letters)
        listed = len(self.claims.letters) + len(self.claims.unsent)
        self._must("records", counts["records"], len(self.wanted))
        self._must("rejected", counts["rejected"], outcomes["rejected"])
        self._must("in doubt", counts["in_doubt"], outcomes["in_doubt"])
        self._must("unsent", counts["unsent"], len(self.claims.unsent))
        self._must("delivered", counts["delivered"], len(self.wanted) - listed)
        total = counts["delivered"] + counts["rejected"] + counts["in_doubt"] + counts["unsent"]
        self._must("the sum of the outcomes", total, len(self.wanted))
        self._must("what is still open", counts["pending"] + counts["leased"], 0)
        self._must("delivered, at most", max(counts["delivered"], len(self.there)), len(self.there))
        if self.exit_code is not None:
            all_of_them = counts["delivered"] == len(self.wanted)
            self._must("the exit code", self.exit_code, 0 if all_of_them else 3)

    def _check_workers(self) -> None:
        """The workers' rows add up to the run's figures."""
        rows, counts = self.claims.report["workers"], self.claims.report["counts"]
        for name in ("delivered", "rejected", "in_doubt"):
            self._must(f"{name} by worker", sum(row[name] for row in rows), counts[name])
        if not counts["unsent"]:
            self._must("slices and what moved", sum(row["slice"] + row["moved"] for row in rows), len(self.wanted))

    def _check_rows(self) -> None:
        """Each attempt has one row, or is counted as lost; what a row calls delivered is in the store."""
        results = self.claims.report.get("results")
        if results is None:
            return
        rows, counts = self.claims.rows, self.claims.report["counts"]
        self._must("the rows", len(rows), results["rows"])
        self._must("rows of one attempt", len({tuple(row.values()) for row in rows}), len(rows))
        known = results["rows"] + results["lost"]
        self._must("rows and lost rows, at least the attempts", max(known, counts["attempts"]), known)
        delivered = {int(row["index"]) for row in rows if row["outcome"] == "delivered"}
        self._must("rows of delivered records that the store lacks", sorted(delivered - self.there), [])
        found = len(delivered) + results["lost"]
        self._must("delivered rows and lost ones, at least the delivered", max(found, counts["delivered"]), found)

    def _check_audit(self) -> None:
        audit = self.claims.report.get("audit")
        if audit is not None:
            self._must("the audit's stored", audit["stored"], len(self.there))
            self._must("the audit agrees", audit["agrees"], True)

    def _must(self, what: str, said: object, is_: object) -> None:
        if said != is_:
            self._lie(f"{what}: the report says {said}, it is {is_}")

    def _lie(self, what: str) -> None:
        self.made.lies.append(what)
