"""A merge that runs: what it is, how far it is, and the hand on it, for those who look on. Thread-safe."""

from __future__ import annotations

import threading
from enum import StrEnum

import msgspec

from fovideo.merge.doing.control import MergeControl
from fovideo.merge.doing.inserting import Progress
from fovideo.merge.doing.pace import eta_ns
from fovideo.merge.doing.report import MergeReport


class MergeState(StrEnum):
    """IDLE: a spare has nothing to give back now. WAITING: for another merge into the same store.

    YIELDING: to live recording. STOPPING: an insertion is being finished. STOPPED: it was cancelled; what it
    inserted stays.
    """

    IDLE = "idle"
    WAITING = "waiting"
    RUNNING = "running"
    YIELDING = "yielding"
    PAUSED = "paused"
    STOPPING = "stopping"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"


ENDED = frozenset({MergeState.DONE, MergeState.STOPPED, MergeState.FAILED})


class MergeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A merge at one instant. source, target: names or locations. began_ns: wall clock.

    stream: the one being merged, number streams_begun of `streams` (0 = not known). frames, size_bytes:
    inserted so far, of what is planned so far, of all streams. eta_ns: time left for that, at the pace so
    far; None while that is not known. eta_at_least: more is still to be planned, so it takes longer.
    error: why it failed, or what it waits out.

    Of a pull also: ordered_ns, ended_ns: wall clock of the server that carries it out, 0 = not yet.
    source_id: identity of the source, "" = not known yet. What lies in the target from that source, inserted
    between these two instants, is what the pull brought.
    """

    id: str
    source: str
    target: str
    state: MergeState
    began_ns: int = 0
    stream: str = ""
    streams_begun: int = 0
    streams: int = 0
    frames: int = 0
    of_frames: int = 0
    size_bytes: int = 0
    of_bytes: int = 0
    eta_ns: int | None = None
    eta_at_least: bool = False
    error: str = ""
    ordered_ns: int = 0
    ended_ns: int = 0
    source_id: str = ""

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class MergeResult(msgspec.Struct, frozen=True, kw_only=True):
    """report: once it has ended; of one that failed, of what is in by then, if anything was begun."""

    status: MergeStatus
    report: MergeReport | None = None


class RunningMerge:
    """control: hand it to the merge, and `progress` too; then begun() and ended(). source_id may be set."""

    def __init__(
        self,
        id: str,
        source: str,
        target: str,
        control: MergeControl,
        *,
        streams: int = 0,
        ordered_ns: int = 0,
    ) -> None:
        self.id, self.control, self.ordered_ns, self.source_id = id, control, ordered_ns, ""
        self._source, self._target, self._streams = source, target, streams
        self._lock = threading.Lock()
        self._state = MergeState.WAITING
        self._began_ns = self._ended_ns = 0
        self._error = ""
        self._done: dict[str, Progress] = {}
        self._last: Progress | None = None

    def begun(self, now_ns: int) -> None:
        with self._lock:
            self._state, self._began_ns = MergeState.RUNNING, now_ns

    def progress(self, done: Progress) -> None:
        """As merge's `progress`."""
        with self._lock:
            self._done[done.stream] = self._last = done

    def ended(self, now_ns: int, *, stopped: bool = False, error: str = "") -> None:
        with self._lock:
            self._error, self._ended_ns = error, now_ns
            self._state = MergeState.FAILED if error else MergeState.STOPPED if stopped else MergeState.DONE

    def status(self) -> MergeStatus:
        """How far it is now."""
        with self._lock:
            last, done = self._last, tuple(self._done.values())
            state = self._state
            if state not in ENDED:
                if self.control.cancelled:
                    state = MergeState.STOPPING
                elif self.control.paused:
                    state = MergeState.PAUSED
                elif state is MergeState.RUNNING and last is not None and last.braking:
                    state = MergeState.YIELDING
            size_bytes, of_bytes = sum(e.size_bytes for e in done), sum(e.of_bytes for e in done)
            return MergeStatus(
                id=self.id,
                source=self._source,
                target=self._target,
                state=state,
                began_ns=self._began_ns,
                stream="" if last is None else last.stream,
                streams_begun=len(done),
                streams=self._streams,
                frames=sum(each.frames for each in done),
                of_frames=sum(each.of_frames for each in done),
                size_bytes=size_bytes,
                of_bytes=of_bytes,
                eta_ns=None if last is None else eta_ns(of_bytes - size_bytes, last.pace_bytes),
                eta_at_least=last is not None and (last.more or len(done) < self._streams),
                error=self._error,
                ordered_ns=self.ordered_ns,
                ended_ns=self._ended_ns,
                source_id=self.source_id,
            )
