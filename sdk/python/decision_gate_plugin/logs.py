"""Log records as JSON lines on standard error, which the host forwards with their level."""

import datetime
import json
import logging
import os
import sys

LEVELS = {"DEBUG": logging.DEBUG, "INFO": logging.INFO, "WARN": logging.WARNING, "ERROR": logging.ERROR}
_NAMES = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warn", logging.ERROR: "error", logging.CRITICAL: "error"}


class _Lines(logging.Formatter):
    def format(self, record):
        line = {
            "@timestamp": datetime.datetime.fromtimestamp(record.created, datetime.timezone.utc).isoformat(),
            "@level": _NAMES.get(record.levelno, "info"), "@message": record.getMessage(), "@module": record.name,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up():
    """Makes logging.getLogger write what the host keeps."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS.get(os.environ.get("DECISION_GATE_LOG_LEVEL", ""), logging.INFO))
