"""The clock of a session's other tracks: each has its own anchor, but epochs are the primary track's."""

from __future__ import annotations

from fovideo.camera.clock.primary import PrimaryClock
from fovideo.camera.clock.reports import Reports, Unit, has_pts
from fovideo.camera.clock.runs import MediaClock
from fovideo.camera.clock.settings import StampSettings
from fovideo.camera.session_start import SessionStart
from fovideo.media.frames import Clock


class SecondaryClock:
    """Anchors a track without reordering. Its time follows the primary's steps, and its own reports in
    between.
    """

    def __init__(self, start: SessionStart, settings: StampSettings) -> None:
        self._start, self._settings = start, settings
        self._reports = Reports(settings, trust_first=start.is_file)
        self._media = MediaClock(settings, live=start.live, interval_ns=0)
        self._last_dts: int | None = None
        self._deviation = 0
        self._waiting_since: int | None = None
        self._last_time = 0
        self.offset: int | None = None
        self.reported = False

    def stamp(
        self, unit: Unit, primary: PrimaryClock, shared_offset: int | None
    ) -> tuple[int, int, int, Clock]:
        """Time, decode time, error bound and clock of the next unit."""
        media = self._media
        known = has_pts(unit)
        if known:
            pts = unit.pts
        elif media.max_pts is None:
            pts = unit.receipt
        else:
            pts = media.max_pts + media.guess_interval(unit.receipt, media.receipt_ns)
        jump = media.max_pts is not None and media.is_jump(pts, unit.receipt, media.max_pts, media.receipt_ns)
        if jump:
            self._reports.jumped(unit.receipt)
        relation = self._reports.see(unit, pts, known)
        if self.offset is None:
            self._begin(unit, pts, primary, shared_offset)
        elif jump:
            elapsed = unit.receipt - media.receipt_ns if self._start.live else 0
            interval = media.guess_interval(unit.receipt, media.receipt_ns)
            self.offset, self.reported = self._last_time + max(elapsed, interval) - pts, False
        elif relation is not None and primary.reported:
            self._follow(relation, unit.receipt)
        assert self.offset is not None
        time_ns = max(pts + self.offset, 0)
        dts = time_ns if self._last_dts is None or time_ns > self._last_dts else self._last_dts + 1
        if media.max_pts is not None and 0 < pts - media.max_pts < self._settings.jump_ns:
            media.interval_ns = pts - media.max_pts
        media.advance(pts, unit.receipt, jump=jump)
        self._last_time, self._last_dts = time_ns, dts
        return time_ns, dts, *self._quality(primary, known)

    def epoch(self, moved: int | None) -> None:
        """The primary began an epoch; its wall clock minus media clock moved by so much (None: unrelated)."""
        self._last_dts, self._waiting_since = None, None
        if moved is None or self.offset is None:
            return
        self.offset += moved
        relation = self._reports.relation
        if relation is not None and abs(relation - self.offset) < self._settings.step_ns:
            self.offset, self.reported, self._deviation = relation, True, 0

    def _begin(self, unit: Unit, pts: int, primary: PrimaryClock, shared_offset: int | None) -> None:
        if shared_offset is not None:
            self.offset, self.reported = shared_offset, primary.reported
        elif primary.reported and self._reports.valid(unit):
            self.offset, self.reported = unit.wall - pts, True
        elif primary.offset is not None:
            self.offset = primary.last_time + unit.receipt - primary.media.receipt_ns - pts
        elif self._start.container_start_ns is not None:
            self.offset = self._start.container_start_ns
        else:
            self.offset = self._start.wall_ns(unit.receipt) - pts

    def _follow(self, relation: int, receipt_ns: int) -> None:
        """A small deviation is adopted at once. A step waits for the primary's, which begins an epoch."""
        assert self.offset is not None
        self._deviation = relation - self.offset
        if abs(self._deviation) >= self._settings.step_ns:
            if self._waiting_since is None:
                self._waiting_since = receipt_ns
            if receipt_ns - self._waiting_since < self._settings.stale_ns:
                return
        self._waiting_since = None
        if abs(self._deviation) > self._settings.anchor_ns or not self.reported:
            self.offset, self.reported, self._deviation = relation, True, 0

    def _quality(self, primary: PrimaryClock, known: bool) -> tuple[int, Clock]:
        guess = 0 if known else self._media.interval_ns
        if self.reported:
            clock = Clock.CONTAINER if self._start.is_file else Clock.SENDER_REPORT
            return self._settings.report_error_ns + abs(self._deviation) + guess, clock
        if self._start.is_file and self._start.container_start_ns is not None:
            return self._settings.container_error_ns + guess, Clock.CONTAINER
        return self._settings.local_error_ns + guess, Clock.LOCAL
