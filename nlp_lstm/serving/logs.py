"""Logs: one JSON object a line on stderr. They hold no text, no part of one, and no message that could quote one.

{"time": "2026-05-04T10:20:30.123Z", "level": "info", "event": "request", "method": "POST", "path": "/v1/pos",
 "status": 200, "seconds": 0.0041, "model": "pos-en", "texts": 1}
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import warnings
from typing import Any

_OURS = ("nlp_lstm", "uvicorn")  # messages of others may quote what they failed on


class JsonFormatter(logging.Formatter):
    """One line of JSON per record: of errors their kind and place, without their message."""

    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{milliseconds:03d}Z",
            "level": record.levelname.lower(),
        }
        if record.name.partition(".")[0] in _OURS:
            line["event"] = str(record.msg).strip()  # the message as it stands in the code, nothing filled in
        else:
            line["event"], line["at"] = f"a message of {record.name}", f"{record.filename}:{record.lineno}"
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line)


def write_logs() -> None:
    """Write the logs of this process, and its warnings, to stderr as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("nlp_lstm").setLevel(logging.INFO)
    warnings.showwarning = _log_warning


def _log_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    fields = {"kind": category.__name__, "at": f"{filename}:{lineno}"}
    logging.getLogger(__name__).warning("warning", extra={"fields": fields})
