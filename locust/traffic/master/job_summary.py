"""Add a run's report to the summary of the CI job that the master runs in, if there is one."""

import logging
import os
from pathlib import Path
from typing import Any

from traffic.runs.junit import to_summary

logger = logging.getLogger(__name__)

# GitHub Actions names the file of a step's summary in it. A summary of more bytes is refused as a whole.
VARIABLE = "GITHUB_STEP_SUMMARY"
MOST_BYTES = 1 << 20


def add_to_job_summary(report: dict[str, Any]) -> None:
    """Append the report to the file that `GITHUB_STEP_SUMMARY` names, if it is set and there is room."""
    if not (name := os.environ.get(VARIABLE)):
        return
    text, path = to_summary(report).encode(), Path(name)
    try:
        if (path.stat().st_size if path.exists() else 0) + len(text) > MOST_BYTES:
            logger.warning("the report is not in the summary %s, which would be too long with it", path)
            return
        with path.open("ab") as file:
            file.write(text)
    except OSError as error:
        logger.warning("the report could not be added to the summary %s: %s", path, error.strerror or error)
