"""Logs as one JSON object a line, on standard error. Rule: changes are logged, not requests."""

import json
import logging
from datetime import UTC, datetime

from stub.message import iso


class JsonFormatter(logging.Formatter):
    """Formats a record as `time`, `level`, `logger`, `message`, and `exception` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record."""
        entry = {
            "time": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up() -> None:
    """Log as JSON from INFO up; from uvicorn only warnings and errors."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(handlers=[handler], level=logging.INFO)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
