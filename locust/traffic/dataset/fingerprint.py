"""Recognize a file without reading it: by its device, inode, size and times."""

import os
from dataclasses import dataclass, field

_SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class FileFingerprint:
    """What shows that a file still holds the bytes that it held.

    Two fingerprints are equal if device, inode, size and the time of the last write are. `changed_ns`, the time of the
    inode's last change, is not compared: a new mode or a new link changes it, and no byte.
    """

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int = field(compare=False)

    @classmethod
    def of(cls, status: os.stat_result) -> "FileFingerprint":
        """Return the fingerprint of the file with this status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    @property
    def key(self) -> str:
        """All of it as text; each write changes it, and so does each change of the inode."""
        return f"{self.device} {self.inode} {self.size} {self.modified_ns} {self.changed_ns}"

    @property
    def latest_s(self) -> float:
        """When the file or its inode was changed last, in seconds since the epoch."""
        return max(self.modified_ns, self.changed_ns) / _SECOND_NS
