"""`fovideo merge --pull`: the target, a running server, fetches from the source itself."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple

from fovideo.cli import custody, params
from fovideo.cli.merge_report import left_of
from fovideo.cli.output import out, print_json
from fovideo.cli.peers import given
from fovideo.custody import CustodyRecord, Written
from fovideo.errors import FovideoError, MergeError, NothingThere, UsageError
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_S

if TYPE_CHECKING:
    from fovideo.merge.doing.running import MergeResult, MergeStatus
    from fovideo.peer import Control, Pull

_LOOK_S = 0.5


class Done(NamedTuple):
    """What came of it."""

    result: MergeResult
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
    if not params.is_url(target):
        raise UsageError(
            "only a running server can pull", where=target, hint="give its URL, or leave --pull out"
        )
    from fovideo.peer import Control, RemoteStore

    wanted.check()
    with ExitStack() as stack:
        control = stack.enter_context(closing(Control(target, credentials=given())))
        id = control.pull(asked).id
        if no_wait:
            if as_json:
                print_json({"merge": id, "target": target})
            else:
                out.print(f"merge {id} runs; see fovideo merges {target}", markup=False, highlight=False)
            return None
        goal = stack.enter_context(closing(RemoteStore(target, credentials=given())))
        watch = _Watch(control, id, asked.patience_ns / NS_PER_S, wanted, goal)
        result = watch.to_its_end(bar, stop)
        return Done(result, watch.written(bar) if result.report is not None else None)


class _Watch:
    """Looks at a pull until it ends; begins the manifest as soon as it is known what store it pulls from."""

    def __init__(
        self, control: Control, id: str, patience_s: float, wanted: custody.Manifest, goal: Timeline
    ) -> None:
        self._control, self._id, self._patience_s = control, id, patience_s
        self._wanted, self._goal = wanted, goal
        self._record: CustodyRecord | None = None
        self._ended_ns = 0

    def to_its_end(self, bar: Any, stop: threading.Event) -> MergeResult:
        """stop: end it. Raises MergeError where nobody knows what became of it."""
        task, cancelled, silent_since = bar.add_task("waiting", total=None), False, 0.0
        while True:
            try:
                if stop.is_set() and not cancelled:
                    self._control.cancel(self._id)
                    cancelled = True
                found = self._control.merge(self._id)
                self._record = self._record or self._wanted.begin_pull(found.status, self._goal)
            except NothingThere:
                raise MergeError(
                    "is not known any more: many others have ended since",
                    where=f"merge {self._id}",
                    hint="run it again: what is in is not copied again",
                ) from None
            except FovideoError as error:
                now = time.monotonic()
                silent_since = silent_since or now
                if not error.passing or now - silent_since > self._patience_s:
                    raise
            else:
                silent_since, status = 0.0, found.status
                if status.ended:
                    self._ended_ns = status.ended_ns
                    return found
                bar.update(
                    task,
                    description=_described(status),
                    completed=status.size_bytes,
                    total=status.of_bytes or None,
                    left=left_of(status),
                )
            (time.sleep if cancelled else stop.wait)(_LOOK_S)

    def written(self, bar: Any) -> Written | None:
        """The manifest; None if none is wanted."""
        if self._record is None:
            return None
        return custody.finish(self._record, bar, until_ns=self._ended_ns)


def _described(status: MergeStatus) -> str:
    words = status.stream or status.source
    return words if status.state == "running" else f"{words} ({status.state})"
