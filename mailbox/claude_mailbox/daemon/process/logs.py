"""The formats of the daemon's log: lines for people, or JSON for log collectors."""

import json
import logging

from claude_mailbox.model.times import iso_time


class JsonFormatter(logging.Formatter):
    """Formats each record as one line of JSON, with the traceback as a string."""

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": iso_time(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)


def log_formatter(form: str) -> logging.Formatter:
    """Return the formatter for ``text`` or ``json``."""
    if form == "json":
        return JsonFormatter()
    return logging.Formatter("%(asctime)s %(levelname)s %(message)s")
