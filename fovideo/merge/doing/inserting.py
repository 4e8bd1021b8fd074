"""Carries the steps of a plan out: one insertion after the other, at the pace that is asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from fovideo.errors import FovideoError, PlanStale
from fovideo.merge.doing.control import MergeControl
from fovideo.merge.doing.damage import Damaged
from fovideo.merge.doing.order import LOCAL_STEP_BYTES, STEP_BYTES, Order, recut, steps
from fovideo.merge.doing.pace import Pace
from fovideo.merge.doing.supply import Fetching, Supply
from fovideo.merge.manifest import Manifest
from fovideo.merge.values import Plan, PlannedStretch
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import Gop, GopFlag, Provenance
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)


@runtime_checkable
class Paced(Protocol):
    """A target that knows how its recorder fares: fovideo.store.Store and fovideo.peer.RemoteStore do."""

    def write_latency_ns(self) -> int:
        """How long its commits take now; 0 if nothing is being recorded."""


class Progress(msgspec.Struct, frozen=True):
    """How far the merge of a stream is. frames, size_bytes: done so far; of_frames, of_bytes: of what is
    planned so far.

    pace_bytes: a second, of the whole merge so far (planning and pauses left out). braking: it waits for the
    target's recorder. more: other footage (streams, hours) is still to be planned.
    """

    stream: str
    frames: int
    of_frames: int
    size_bytes: int
    of_bytes: int
    pace_bytes: int = 0
    braking: bool = False
    more: bool = False


class Stopped(Exception):
    """The merge was cancelled. Never leaves this package."""


class Done(msgspec.Struct):
    """What was inserted of a stream so far, over all attempts. unsure: sent, but no answer came. left: steps
    of the last plan that were not carried out. damaged: rows of the source that cannot be. planned: the
    source's rows, the last plan of them, and how many steps were in before that.
    """

    steps: list[PlannedStretch] = []
    left: list[PlannedStretch] = []
    unsure: PlannedStretch | None = None
    damaged: list[Damaged] = []
    planned: tuple[Manifest, Plan, int] | None = None


class Inserter(msgspec.Struct, kw_only=True):
    """One merge's way of inserting. clock: monotonic, in ns. more: what it is given next is not all."""

    source: Timeline
    target: Timeline
    pace: Pace = Pace()
    order: Order = Order.OLDEST
    control: MergeControl = msgspec.field(default_factory=MergeControl)
    progress: Callable[[Progress], None] | None = None
    on_insert: Callable[[str, Provenance, int, int], None] | None = None
    clock: Callable[[], int] = time.monotonic_ns
    more: bool = False
    _wait_ns: int = 0
    _pause_ns: int = 0
    _step_bytes: int = 0
    _spent_ns: int = 0
    _sent_bytes: int = 0

    def insert(self, manifest: Manifest, held: Manifest, made: Plan, done: Done) -> None:
        """Insert all that is planned. Raises Stopped between two steps, PlanStale, and what the target
        raises. `done` says what is in.
        """
        rows = {row.serial: row for row in manifest.rows}
        largest = STEP_BYTES if isinstance(self.source, Fetching) else LOCAL_STEP_BYTES
        latency_ns = self._latency_ns()
        most_bytes = self.pace.step_bytes(live=latency_ns > 0, largest=largest)
        self._step_bytes = self.pace.next_step_bytes(self._step_bytes, latency_ns, most_bytes)
        done.left = steps(made.stretches, rows, order=self.order, step_bytes=self._step_bytes)
        frames, size_bytes = _sums(done.steps)  # by earlier attempts and for earlier spans
        of_frames, of_bytes = _sums([*done.steps, *done.left])
        generation, since_ns = made.generation, self._active_ns()
        while done.left:
            step_bytes = self._step_bytes
            going = self._carried_out(made, held, rows, done, generation)
            for step, generation_then in going:
                generation = generation_then
                latency_ns = self._latency_ns() if done.left else 0
                self._pause_ns = self.pace.pause_ns(self._pause_ns, latency_ns)
                frames += step.frames
                size_bytes += step.size_bytes
                now_ns = self._active_ns()
                self._spent_ns += now_ns - since_ns
                self._sent_bytes += step.size_bytes
                since_ns = now_ns
                if self.progress is not None:
                    taken_ns = self._spent_ns + max(self._wait_ns, self._pause_ns)
                    self.progress(
                        Progress(
                            made.stream,
                            frames,
                            of_frames,
                            size_bytes,
                            of_bytes,
                            pace_bytes=self._sent_bytes * NS_PER_S // max(taken_ns, 1),
                            braking=self._pause_ns > 0,
                            more=self.more,
                        )
                    )
                if done.left:
                    self._step_bytes = self.pace.next_step_bytes(step_bytes, latency_ns, most_bytes)
                if self._step_bytes != step_bytes:
                    break
            going.close()
            if done.left:
                done.left = recut(made.stretches, done.left, rows, self.order, self._step_bytes)

    def _carried_out(
        self,
        made: Plan,
        held: Manifest,
        rows: Mapping[int, Gop],
        done: Done,
        generation: int,
    ) -> Generator[tuple[PlannedStretch, int]]:
        """Carries out what is left, step by step; each with the target's generation after it."""
        last_ns = max((row.end_ns for row in held.rows), default=0)
        step_ns = sent_bytes = 0
        with Supply(self.source, self.target, made.stream, rows) as supply:
            for batch in supply.batches(list(done.left)):
                step = batch.planned
                if done.unsure is None:
                    if not self.control.wait(max(self._wait_ns, self._pause_ns)):
                        raise Stopped
                    if not held.live_edge_ns and step.span.to_ns > last_ns:
                        self._require_quiet(made.stream)
                    if self.on_insert is not None:
                        self.on_insert(made.stream, step.provenance, step.span.from_ns, step.span.to_ns)
                    step_ns, sent_bytes = self.clock(), 0
                    done.unsure = step
                inserted = self.target.insert(batch.stretch(made.stream, generation))
                generation = inserted.generation
                sent_bytes += inserted.size_bytes
                if batch.last:
                    done.unsure = None
                    done.steps.append(done.left.pop(0))
                    self._wait_ns = self.pace.wait_ns(sent_bytes, self.clock() - step_ns)
                    yield step, generation

    def _active_ns(self) -> int:
        """A clock that stands while the merge is paused."""
        return self.clock() - self.control.rested_ns

    def _latency_ns(self) -> int:
        if not self.pace.brake_ns or not isinstance(self.target, Paced):
            return 0
        try:
            return self.target.write_latency_ns()
        except FovideoError as error:
            _log.info("%s does not tell how its recorder fares: %s", self.target.location, error)
            return 0

    def _require_quiet(self, stream: str) -> None:
        """Raise PlanStale if the target began to record: it may hold by now what the plan says it lacks."""
        if any(info.name == stream and info.live_edge_ns for info in self.target.streams()):
            raise PlanStale("the stream is being recorded since the merge was planned", where=stream)


def _sums(steps: Sequence[PlannedStretch]) -> tuple[int, int]:
    """Frames and bytes."""
    return sum(step.frames for step in steps), sum(step.size_bytes for step in steps)


def settle(source: Timeline, manifest: Manifest, made: Plan, left: list[PlannedStretch]) -> int:
    """Tell the source which rows the target holds whole; returns how many were waiting for that. left: what
    was planned and is not in.
    """
    held = set(made.settled) - {piece.serial for step in left for piece in step.pieces}
    waiting = [row.serial for row in manifest.rows if row.flags & GopFlag.PENDING and row.serial in held]
    if not waiting:
        return 0
    try:
        source.settle(made.stream, waiting)
    except FovideoError as error:
        # The target is whole; the source merely keeps its copy longer.
        _log.warning("%s could not note what was merged: %s", source.location, error)
        return 0
    return len(waiting)
