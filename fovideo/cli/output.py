"""What commands print: JSON for programs, text, bars and tables for people."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, TextIO

import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class _Out(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Errors(Console):
    def on_broken_pipe(self) -> None:
        """Nobody reads the messages any more: the work goes on."""
        give_up(sys.stderr)


out = _Out(soft_wrap=True)
errors = _Errors(stderr=True, soft_wrap=True)


def give_up(stream: TextIO) -> None:
    """Whatever is still written there goes nowhere, so that the end of the process is quiet."""
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


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


class _Left(TimeRemainingColumn):
    """What the task says is left (`left`), if it does; else rich's estimate."""

    def render(self, task: Task) -> Text:
        if "left" in task.fields:
            return Text(task.fields["left"], style="progress.remaining")
        return super().render(task)


def progress(quiet: bool = False) -> Progress:
    """Progress bar over bytes on stderr: on a terminal only, and not beside --json."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        _Left(),
        console=errors,
        transient=True,
        disable=quiet or not errors.is_terminal,
    )
