"""Logs as one JSON object a line, for machines that collect them.

Keys and values that a call gives as `extra=` stand beside the message. In steady state nothing
above debug is logged, so every line is worth reading.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from typing_extensions import override

LEVELS: Final = ("debug", "info", "warning", "error")

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_NOISY: Final = ("kopf", "asyncio", "aiohttp", "botocore", "boto3", "urllib3", "kubernetes")
# It warns that signals are ignored off the main thread, where we run it on purpose.
_WARNS_OF_NOTHING: Final = "kopf._core.reactor.running"
# kopf hangs whole objects on its records.
_FOREIGN: Final = frozenset({"k8s_ref", "k8s_skip", "settings"})


class JSONFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {
            name: value
            for name, value in vars(record).items()
            if name not in _STANDARD and name not in _FOREIGN
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Send all logs to a stream (stderr), from `level` up; libraries only from warning up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.getLogger(_WARNS_OF_NOTHING).setLevel(logging.ERROR)
