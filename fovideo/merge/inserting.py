"""Carries the steps of a plan out: one insertion after the other, at the pace that is asked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import msgspec

from fovideo.errors import FovideoError, PlanStale
from fovideo.merge.control import MergeControl
from fovideo.merge.manifest import Manifest
from fovideo.merge.order import LOCAL_STEP_BYTES, STEP_BYTES, Order, steps
from fovideo.merge.pace import Pace, eta_ns
from fovideo.merge.supply import Fetching, Supply
from fovideo.merge.values import Plan, PlannedStretch
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.values import GopFlag, Provenance

_log = logging.getLogger(__name__)


@runtime_checkable
class Paced(Protocol):
    """A target that knows how its recorder fares: fovideo.store.Store and fovideo.peer.RemoteStore do."""

    def write_latency_ns(self) -> int:
        """How long its commits take now; 0 if nothing is being recorded."""


class Progress(msgspec.Struct, frozen=True):
    """How far the merge of a stream is. frames, size_bytes: done so far; of_frames, of_bytes: as planned.

    eta_ns: time that is left at the pace so far, None while that is not known. braking: it waits for the
    target's recorder.
    """

    stream: str
    frames: int
    of_frames: int
    size_bytes: int
    of_bytes: int
    eta_ns: int | None = None
    braking: bool = False


class Stopped(Exception):
    """The merge was cancelled. Never leaves this package."""


class Done(msgspec.Struct):
    """What was inserted of a stream so far, over all attempts. unsure: sent, but no answer came. left: steps
    of the last plan that were not carried out.
    """

    steps: list[PlannedStretch] = []
    left: list[PlannedStretch] = []
    unsure: PlannedStretch | None = None


class Inserter(msgspec.Struct, kw_only=True):
    """One merge's way of inserting. clock: monotonic, in ns."""

    source: Timeline
    target: Timeline
    pace: Pace = Pace()
    order: Order = Order.OLDEST
    control: MergeControl = msgspec.field(default_factory=MergeControl)
    progress: Callable[[Progress], None] | None = None
    on_insert: Callable[[str, Provenance, int, int], None] | None = None
    clock: Callable[[], int] = time.monotonic_ns
    _wait_ns: int = 0
    _pause_ns: int = 0

    def insert(self, manifest: Manifest, held: Manifest, made: Plan, done: Done) -> None:
        """Insert all that is planned. Raises Stopped between two steps, PlanStale, and what the target
        raises. `done` says what is in.
        """
        rows = {row.serial: row for row in manifest.rows}
        largest = STEP_BYTES if isinstance(self.source, Fetching) else LOCAL_STEP_BYTES
        step_bytes = self.pace.step_bytes(live=self._latency_ns() > 0, largest=largest)
        done.left = steps(made.stretches, rows, order=self.order, step_bytes=step_bytes)
        of_frames = sum(step.frames for step in done.left)
        of_bytes = sum(step.size_bytes for step in done.left)
        last_ns = max((row.end_ns for row in held.rows), default=0)
        generation, frames, size_bytes, began_ns = made.generation, 0, 0, self.clock()
        step_ns = sent_bytes = 0
        with Supply(self.source, self.target, manifest.stream, rows) as supply:
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
                inserted = self.target.insert(batch.stretch(manifest.stream, generation))
                generation = inserted.generation
                sent_bytes += inserted.size_bytes
                if not batch.last:
                    continue
                done.unsure = None
                done.steps.append(done.left.pop(0))
                self._wait_ns = self.pace.wait_ns(sent_bytes, self.clock() - step_ns)
                self._pause_ns = self.pace.pause_ns(self._pause_ns, self._latency_ns() if done.left else 0)
                frames += step.frames
                size_bytes += step.size_bytes
                if self.progress is not None:
                    left_ns = eta_ns(size_bytes, of_bytes, self.clock() - began_ns)
                    braking = self._pause_ns > 0
                    self.progress(
                        Progress(made.stream, frames, of_frames, size_bytes, of_bytes, left_ns, braking)
                    )

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
