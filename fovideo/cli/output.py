"""What commands print: JSON for programs, text, bars and tables for people."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

out = Console(soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)


def print_json(value: Any) -> None:
    """One JSON document on stdout; indented on a terminal, one line elsewhere."""
    data = msgspec.json.encode(value)
    if out.is_terminal:
        data = msgspec.json.format(data, indent=2)
    sys.stdout.write(data.decode() + "\n")
    sys.stdout.flush()


def warn(text: str) -> None:
    """One line of warning on stderr."""
    errors.print(f"fovideo: {text}", style="yellow", markup=False, highlight=False)


def progress(quiet: bool = False) -> Progress:
    """Progress bar over bytes on stderr: on a terminal only, and not beside --json."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=quiet or not errors.is_terminal,
    )
