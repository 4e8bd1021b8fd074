"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rich_click as click

from fovideo.errors import UsageError
from fovideo.timeline.values import check_stream_name
from fovideo.times import parse_bytes, parse_duration_ns, parse_ns


class Parsed(click.ParamType):  # type: ignore[type-arg]
    """A parameter type made of a parse function that raises UsageError."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name, self._parse = name, parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


TIME = Parsed("time", parse_ns)
DURATION = Parsed("duration", parse_duration_ns)
SIZE = Parsed("size", parse_bytes)
STREAM = Parsed("name", check_stream_name)

site_file = click.argument("site_file", metavar="SITE.toml", type=click.Path(dir_okay=False, path_type=Path))
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
workers = click.option(
    "--workers",
    type=click.IntRange(0, 64),
    metavar="N",
    help="Processes that share the network cameras; one that crashes takes down only its own.",
)
one_stream = click.option("--stream", type=STREAM, help="Only this stream.")
from_time = click.option("--from", "from_ns", type=TIME, help="From this time on (RFC 3339).")
to_time = click.option("--to", "to_ns", type=TIME, help="Up to this time (RFC 3339).")


def stretch_options(command: Any) -> Any:
    """--from and --to."""
    return from_time(to_time(command))


def check_stretch(from_ns: int | None, to_ns: int | None) -> None:
    """Refuse a stretch that ends before it begins."""
    if from_ns is not None and to_ns is not None and to_ns <= from_ns:
        raise UsageError("--to is not after --from", hint="swap them")


def is_url(location: str) -> bool:
    """Whether STORE, SOURCE or TARGET is the URL of a running server."""
    return location.startswith(("http://", "https://"))
