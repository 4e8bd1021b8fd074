"""What a spare did for one server, for its health, metrics and reports."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from msgspec.structs import replace

from fovideo.failover import Holding, Memory, Word, is_cut_off
from fovideo.merge import StreamReport
from fovideo.peer.health import WatchedServer


class Ledger:
    """Counters and the sum of the merge reports of the current (or last) takeover. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._takeover_ns = self._handback_ns = self._takeovers = self._merges = self._inserted = 0
        self._lease = 0
        self._standing = False
        self._error = ""
        self._reports: dict[str, StreamReport] = {}

    @property
    def reports(self) -> tuple[StreamReport, ...]:
        """By stream, over all passes of the takeover."""
        with self._lock:
            return tuple(self._reports.values())

    def taken_over(self, now_ns: int, lease: int) -> None:
        """A takeover begins, or goes on under another number."""
        with self._lock:
            if not self._standing:
                self._reports = {}
                self._takeovers += 1
                self._takeover_ns, self._standing = now_ns, True
            self._lease = lease or self._lease

    def merged(self, reports: Sequence[StreamReport], error: str) -> None:
        with self._lock:
            self._merges += 1
            self._error = error
            for report in reports:
                self._inserted += report.inserted_frames
                known = self._reports.get(report.name)
                self._reports[report.name] = report if known is None else _sum(known, report)

    def handed_back(self, now_ns: int, *, over: bool) -> None:
        with self._lock:
            self._handback_ns, self._error = now_ns, ""
            self._standing = self._standing and not over

    def status(
        self,
        memory: Memory,
        answered_ns: int,
        silence: str,
        *,
        holding: Holding,
        left: tuple[str, ...],
        suspicion: float,
    ) -> WatchedServer:
        with self._lock:
            return WatchedServer(
                state=memory.state.value,
                cameras={name: memory.duties[name].state.value for name in memory.standing},
                lease=memory.right or self._lease or memory.lease,
                answered_ns=answered_ns,
                takeover_ns=self._takeover_ns,
                handback_ns=self._handback_ns,
                takeovers=self._takeovers,
                merges=self._merges,
                inserted_frames=self._inserted,
                unmerged_frames=sum(duty.left for duty in memory.duties.values()),
                claimed=tuple(sorted(holding.cameras)),
                firm=holding.firm,
                left=left,
                suspicion=round(suspicion, 2),
                cut_off=is_cut_off(memory),
                ordered=memory.ordered,
                drained=memory.word == Word.DRAINED,
                recorded_to_ns={n: duty.edge_ns for n, duty in memory.duties.items() if duty.edge_ns > 0},
                error=silence or self._error,
            )


def _sum(before: StreamReport, now: StreamReport) -> StreamReport:
    """Two passes as one: what was inserted adds up, what was found is as of the last."""
    return replace(
        now,
        inserted_frames=before.inserted_frames + now.inserted_frames,
        conflicting_frames=max(before.conflicting_frames, now.conflicting_frames),
        possible_duplicate_frames=before.possible_duplicate_frames + now.possible_duplicate_frames,
        possible_duplicates=(*before.possible_duplicates, *now.possible_duplicates),
        other_frames=before.other_frames + now.other_frames,
        inserted_bytes=before.inserted_bytes + now.inserted_bytes,
        inserted=(*before.inserted, *now.inserted),
        settled_rows=before.settled_rows + now.settled_rows,
    )
