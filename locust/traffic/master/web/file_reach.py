"""Decide which traffic files the web form may name: those in the folder of --traffic-file, and uploads.

Guarded here: a file elsewhere is refused in the same words whether or not it exists, because the message about a
file's fault quotes its content.
"""

import os
from pathlib import Path

from traffic.settings import BY_NAME, SettingsError


class AllowedFiles:
    """The files that the form may name. `configured` is the file that the master was started with: always allowed."""

    def __init__(self, configured: str) -> None:
        self._configured = BY_NAME["traffic_file"].text(configured)
        self.folder = Path(self._configured).parent

    def check(self, named: str, uploads: Path) -> None:
        """Raise SettingsError if the form may not name this file. Reads the disk."""
        file = BY_NAME["traffic_file"].text(named)
        if file != self._configured and not any(inside(Path(file), root) for root in (self.folder, uploads)):
            rule = f"From here, a traffic file can be chosen out of {str(self.folder)!r}, or be one that was uploaded"
            raise SettingsError(f"{rule}; {file[:200]!r} is neither. Choose another, or upload it.")


def inside(path: Path, folder: Path) -> bool:
    """Return whether a path leads into a folder, links and `..` followed, and to nothing that is hidden there."""
    try:
        real, root = path.resolve(), folder.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links, a name too long, a zero byte
        return False
    if root not in real.parents:
        return False
    # Hidden names are searched in the path as written: some volumes keep plain files behind hidden links.
    written, start = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    below = written.relative_to(start) if start in written.parents else real.relative_to(root)
    return not any(part.startswith(".") for part in below.parts)
