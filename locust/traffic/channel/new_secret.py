"""Makes a secret for a stack on one machine."""

import os
import secrets
from pathlib import Path

_BYTES = 32


def make_secret(file: Path) -> None:
    """Make a secret in a file that nobody else can read, unless it is there. OSError if that is not possible."""
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with os.fdopen(handle, "w") as out:
        out.write(secrets.token_urlsafe(_BYTES) + "\n")
