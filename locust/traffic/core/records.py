"""Define what the core needs of a file of records. The core never opens, reads or closes one itself."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from traffic.core.order import Indexes


class UnreadableError(Exception):
    """Records cannot be read any more, or not as they were when the file was checked. The text says why."""


class Records(Protocol):
    """N records by index, 0 to N-1. `name` is the file's, `digest` the SHA-256 of its bytes in hexadecimal."""

    @property
    def name(self) -> str:
        """The file's name as a person gave it."""

    @property
    def digest(self) -> str:
        """The SHA-256 of the file's bytes in hexadecimal."""

    @property
    def records(self) -> int:
        """How many records there are."""

    def lengths(self, indexes: Indexes) -> npt.NDArray[np.uint32]:
        """Return the records' lengths in bytes, same shape as `indexes`."""

    def bodies(self, indexes: Indexes) -> list[bytes]:
        """Return the records' bytes, in the order of `indexes`. Raises UnreadableError."""
