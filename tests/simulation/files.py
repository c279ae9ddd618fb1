"""The traffic files of the simulation: small ones, made once for each process."""

import os
from pathlib import Path
from tempfile import mkdtemp

from traffic.dataset.dataset import Dataset

_FOLDER = Path(mkdtemp(prefix="traffic-simulation-"))


def dataset(records: int) -> Dataset:
    """Return a file of that many small records."""
    path = _FOLDER / f"{os.getpid()}-{records}.json"
    if not path.exists():
        path.write_text("[" + ",".join(f'{{"n":{n}}}' for n in range(records)) + "]")
    return Dataset.open(path)
