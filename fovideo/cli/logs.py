"""Where log records go under a command: stderr, a line each."""

from __future__ import annotations

import logging
import time
from typing import Final

from fovideo.cli.output import errors

_STYLES: Final = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}
_SAYS_ITSELF: Final = {"record": ("fovideo.record",)}
_CHATTY: Final = ("httpx", "httpcore", "libav")


class _ToConsole(logging.Handler):
    """Through the console, so that a progress bar stays below."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            style = _STYLES.get(record.levelno)
            errors.print(self.format(record), style=style, markup=False, highlight=False, soft_wrap=True)
        except Exception:
            self.handleError(record)


def log_to_stderr(verbose: int, command: str | None) -> None:
    """Log records of a command. verbose: 0 = warnings, 1 = information, 2 = all.

    What a command tells its user itself is not logged beside it unless asked for.
    """
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    handler = _ToConsole()
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    if not verbose:
        for name in _SAYS_ITSELF.get(command or "", ()):
            logging.getLogger(name).setLevel(logging.CRITICAL)
