"""`fovideo merge --pull`: the target, a running server, fetches from the source itself."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from fovideo.cli import custody, params
from fovideo.cli.output import out, print_json
from fovideo.cli.peers import given
from fovideo.custody import CustodyRecord, Written
from fovideo.errors import FovideoError, MergeError, NothingThere, UsageError
from fovideo.merge import MergeReport, Span
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.merge.running import MergeStatus
    from fovideo.peer import Control

_LOOK_S = 0.5


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """What POST /v1/control/merge takes, but for the id."""

    source: str
    streams: tuple[str, ...] | None
    from_ns: int | None
    to_ns: int | None
    order: str
    first: tuple[Span, ...]
    rate_bytes: int
    brake_ns: int
    patience_ns: int


class Done(NamedTuple):
    """What came of it."""

    report: MergeReport
    written: Written | None


def pull(
    asked: Pull,
    target: str,
    wanted: custody.Manifest,
    *,
    bar: Any,
    stop: threading.Event,
    no_wait: bool,
    as_json: bool,
) -> Done | None:
    """Order it, and watch it to its end; None if that is not to be waited for.

    stop: set when it is to be ended. A server that is restarted goes on by itself, and is waited for.
    """
    from fovideo.peer import Control

    if not params.is_url(target):
        raise UsageError(
            "only a running server can pull", where=target, hint="give its URL, or leave --pull out"
        )
    with ExitStack() as stack:
        control = stack.enter_context(closing(Control(target, credentials=given())))
        record = _record(asked.source, target, wanted, stack)
        id = control.pull(id=os.urandom(4).hex(), **msgspec.to_builtins(asked))
        if no_wait:
            if as_json:
                print_json({"merge": id, "target": target})
            else:
                out.print(f"merge {id} runs; see fovideo merges {target}", markup=False, highlight=False)
            return None
        report = _watched(control, id, asked.patience_ns / NS_PER_S, bar, stop)
        return Done(report, None if record is None else custody.finish(record, bar))


def _record(source: str, target: str, wanted: custody.Manifest, stack: ExitStack) -> CustodyRecord | None:
    """The manifest of what the target inserts, which is found by its provenance afterwards."""
    from fovideo.peer import RemoteStore

    if not wanted.is_wanted:
        return None
    if not params.is_url(source):
        raise UsageError("a manifest of a pull needs the URL of the source", where=source)
    origin = stack.enter_context(closing(RemoteStore(source, credentials=given())))
    goal = stack.enter_context(closing(RemoteStore(target, credentials=given())))
    # Insertions carry the time of the server's clock.
    record = wanted.begin(origin, goal, wall_clock=lambda: goal.health().now_ns)
    if record is not None:
        record.inserted_elsewhere()
    return record


def _watched(control: Control, id: str, patience_s: float, bar: Any, stop: threading.Event) -> MergeReport:
    task, cancelled, silent_since = bar.add_task("waiting", total=None), False, 0.0
    while True:
        try:
            if stop.is_set() and not cancelled:
                control.cancel(id)
                cancelled = True
            found = control.merge(id)
        except NothingThere:
            raise MergeError(
                "is not known any more: the server was restarted when it had just ended",
                where=f"merge {id}",
                hint="run it again: what is in is not copied again",
            ) from None
        except FovideoError as error:
            now = time.monotonic()
            silent_since = silent_since or now
            if not error.passing or now - silent_since > patience_s:
                raise
        else:
            silent_since, status = 0.0, found.status
            if found.report is not None:
                return found.report
            if status.ended:
                raise MergeError(status.error, where=f"merge {id}", hint="run it again to go on")
            total = status.of_bytes or None
            bar.update(task, description=_described(status), completed=status.size_bytes, total=total)
        (time.sleep if cancelled else stop.wait)(_LOOK_S)


def _described(status: MergeStatus) -> str:
    words = status.stream or status.source
    return words if status.state == "running" else f"{words} ({status.state})"
