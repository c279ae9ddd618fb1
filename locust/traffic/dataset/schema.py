"""Checks each record against a JSON Schema, if the options name one."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec

from traffic.core.reading import Reading
from traffic.dataset.dataset import Dataset
from traffic.dataset.fault_list import FaultList
from traffic.dataset.memory_budget import Budget
from traffic.dataset.scan import Progress
from traffic.errors import RefusedError

# Part of the name under which passed records are cached. It changes if the checks change.
_VERSION = b"traffic schema 2, formats checked\n"
# The values of a record are in memory as Python's and as the validator's.
_TIMES = 2
_LONGEST_MESSAGE = 200


class SchemaError(RefusedError):
    """A schema that cannot be used; the text names the file, what is wrong, and a remedy."""


class Schema:
    """A JSON Schema, of the draft that its $schema names, by default 2020-12; `format` is checked in all drafts.

    `digest` changes if the schema changes, or what is checked by it.
    """

    def __init__(self, file: Path) -> None:
        """Read it. SchemaError if it cannot be read, or is no JSON Schema."""
        self.file = file
        try:
            text = file.read_bytes()
            # By default the validator does not check formats from draft 2019-09 on.
            self._validator = jsonschema_rs.validator_for(
                _object(json.loads(text)), validate_formats=True, retriever=_refuse_to_fetch
            )
        except OSError as error:
            what = f"the schema {file} cannot be read ({error.strerror})"
            raise SchemaError(f"{what}. Name a file with --traffic-schema, or leave that out.") from error
        except (ValueError, RecursionError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
            what = f"{file} is no JSON Schema ({_first_line(error)})"
            raise SchemaError(f"{what}. Correct it, or leave --traffic-schema out.") from error
        self.digest = hashlib.sha256(_VERSION + text).hexdigest()

    def digest_for(self, reading: Reading) -> str:
        """Return a digest that also changes if the files are read in another way."""
        return self.digest if not reading.key else hashlib.sha256(f"{self.digest} {reading.key}".encode()).hexdigest()

    def check(self, dataset: Dataset, progress: Progress, budget: Budget) -> None:
        """Raise DatasetError if a record does not pass, or may take more memory than the `budget` has."""
        faults = FaultList()
        for indexes in dataset.batches():
            for index, body in zip(indexes.tolist(), dataset.contents(indexes), strict=True):
                budget.check_values(dataset.file, body, index, _TIMES)
                for what in self._faults(body):
                    remedy = f"Correct the record, or the schema {self.file}."
                    faults.add(dataset.fault(index, what, remedy, placed=not faults.full))
            progress(int(indexes[0]), dataset.records)
        faults.raise_any()

    def _faults(self, body: bytes) -> Iterator[str]:
        try:
            record = msgspec.json.decode(body)
        except msgspec.DecodeError:
            # Lone surrogates: RFC 8259 allows them as escapes; no text has them.
            try:
                text = json.dumps(json.loads(body), ensure_ascii=False)
            except ValueError:
                yield "has no JSON as its body, which the schema is for"
                return
            record = msgspec.json.decode(text.encode(errors="replace"))
        try:
            if self._validator.is_valid(record):
                return
            for error in self._validator.iter_errors(record):
                yield _describe(error)
        except ValueError as error:
            yield f"cannot be held against the schema ({_first_line(error)})"


def _object(value: Any) -> Any:
    if not isinstance(value, dict | bool):
        raise ValueError("it is not an object")  # noqa: TRY004 - the file's fault, not the caller's
    return value


def _refuse_to_fetch(uri: str) -> Any:
    raise ValueError(f"it refers to {uri}; all of it must stand in the one file")


def _describe(error: "jsonschema_rs.ValidationError") -> str:
    place = "".join(f"/{part}" for part in error.instance_path)
    rule = "/".join(map(str, error.schema_path))
    return f"breaks the schema's rule {rule}{' at ' + place if place else ''}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    text = str(getattr(error, "message", None) or error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    return line if len(line) <= _LONGEST_MESSAGE else line[:_LONGEST_MESSAGE] + "..."
