"""The clock of a session's primary track (video, else audio, else metadata): it decides epochs."""

from __future__ import annotations

from fovideo.camera.clock._steady import Steady
from fovideo.camera.clock.reports import LATEST_NS, Reports, has_pts
from fovideo.camera.clock.runs import MediaClock, Member, Run
from fovideo.camera.clock.settings import StampSettings
from fovideo.camera.session_start import SessionStart
from fovideo.media.codec import VIDEO_TRACK
from fovideo.media.frames import Clock, FrameFlag
from fovideo.times import NS_PER_MS

_SETTLED_NS = 50 * NS_PER_MS
_LOCAL_WINDOW_NS = 10_000 * NS_PER_MS
_ADOPT_ANYWHERE_NS = 20_000 * NS_PER_MS
_GUESSED_EPOCHS = 64


class Placed:
    """A run with times.

    backdates: (number of epochs back, shift) of what came before. new_epoch: the run begins one.
    moved: by how much wall clock minus media clock changed, None when that says nothing about other tracks.
    """

    __slots__ = ("backdates", "dts", "errors", "moved", "new_epoch", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.dts: list[int] = []
        self.errors: list[int] = []
        self.backdates: list[tuple[int, int]] = []
        self.new_epoch = False
        self.moved: int | None = 0


class PrimaryClock:
    """Anchors the media clock of the primary track to the wall clock, run by run."""

    def __init__(self, start: SessionStart, track: int, settings: StampSettings) -> None:
        self._start, self._settings, self._is_video = start, settings, track == VIDEO_TRACK
        self.reports = Reports(settings, trust_first=start.is_file)
        self.media = MediaClock(
            settings, live=start.live, interval_ns=start.interval_ns, first_pts=start.first_pts_ns
        )
        self.offset: int | None = None
        self.reported = False
        self.clock = Clock.LOCAL
        self.last_time = 0
        self._last_dts: int | None = None
        self._deviation = 0
        self._settled = False
        self._guessed: list[int] = []  # relations of the newest epochs, as long as no report confirmed them
        self._slack: int | None = None
        self._window_ns = 0
        self._thresholds = (
            settings.step_ns,
            settings.anchor_ns,
            settings.jump_ns,
            settings.reorder_min_ns,
            settings.reorder_frames,
            settings.reorder_ns,
            settings.earliest_ns,
            LATEST_NS,
        )

    def place(self, run: Run, shared_offset: int | None) -> Placed:
        """Times of a run. shared_offset: relation that the other tracks of a file use already, if any."""
        placed = Placed()
        first = run.members[0]
        if run.jump:
            self.reports.jumped(first.unit.receipt)
        relation = self.reports.see(first.unit, first.pts, first.known)
        if self.offset is None:
            self._begin(run, relation, shared_offset)
        elif run.jump:
            self._continue_after_jump(run)
            placed.new_epoch, placed.moved = True, None
        elif self.reported:
            self._follow_reports(run, relation, placed)
        else:
            self._improve(first, placed)
        for member in run.members[1:]:
            self.reports.see(member.unit, member.pts, member.known)
        self._stamp(run, placed)
        return placed

    def pass_steady(
        self, steady: Steady, begin: int, at: int, *, reorders: bool, track: int
    ) -> tuple[int, int]:
        """Place frames for which `place` would only go on: compiled, with the same result.

        begin: number of the unit to begin with. at: number of the first row. reorders: as in Order.
        Returns the number of the unit where it ended, and how many frames were placed.
        """
        media, reports, settings = self.media, self.reports, self._settings
        if (
            self.offset is None
            or media.max_pts is None
            or self._last_dts is None
            or self._slack is None
            or not reports.steady
        ):
            return begin, 0
        has_relation = reports.relation is not None
        waits_ns = _LOCAL_WINDOW_NS if self._settled else min(settings.local_settle_ns, _LOCAL_WINDOW_NS)
        fixed = (
            self.offset,
            self._start.wall_ns(0),
            self._fixed_error_ns(),
            self._window_ns + waits_ns,
            reorders,
            media.live,
            self.reported,
            self.clock is Clock.LOCAL and self._start.live,
            self._is_video,
            reports.trust_first,
            track,
            int(self.clock),
        )
        state: tuple[int, ...] = (
            media.max_pts,
            media.receipt_ns,
            media.interval_ns,
            self._last_dts,
            self.last_time,
            self._deviation,
            self._slack,
            reports.relation or 0,
            reports.had_wall,
            has_relation,
        )
        end, count, state = steady.run(begin, at, self._thresholds, fixed, state)
        if count:
            media.max_pts, media.receipt_ns, media.interval_ns, self._last_dts = state[:4]
            self.last_time, self._deviation, self._slack, relation = state[4:8]
            reports.had_wall = bool(state[8])
            reports.relation = relation if has_relation else None
        return end, count

    def resume(self) -> None:
        """A new epoch begins on the same clock; what was recorded before is out of reach of back-dating."""
        self._guessed = self._guessed[-1:]

    def pending(self) -> list[tuple[int, int]]:
        """Back-dating that waits for a keyframe, to be said if none comes any more; as Placed.backdates."""
        relation = self.reports.relation
        return [] if self.reported or relation is None else self._shifts(relation)

    def _shifts(self, relation: int) -> list[tuple[int, int]]:
        """What moves all guessed epochs to a relation."""
        newest_first = enumerate(reversed(self._guessed))
        return [(back, relation - guess) for back, guess in newest_first if relation != guess]

    # anchors

    def _begin(self, run: Run, relation: int | None, shared_offset: int | None) -> None:
        first, following = run.members[0], run.members[1] if len(run.members) > 1 else run.following
        if relation is None and self.reports.valid(first.unit):
            if following and following.known and self.reports.valid(following.unit):
                relation = following.unit.wall - following.pts
            elif has_pts(first.unit):  # else it opens an RTSP session, and its report is the next frame's
                relation = first.unit.wall - first.pts
        if relation is not None:
            self._report(relation)
            return
        offset = self._start.container_start_ns if shared_offset is None else shared_offset
        if offset is None:
            offset = self._start.wall_ns(first.unit.receipt) - first.pts
        self._guess(offset, first.unit.receipt)
        if self._start.container_start_ns is not None:
            self.clock = Clock.CONTAINER

    def _report(self, relation: int) -> None:
        self.offset, self.reported, self._deviation = relation, True, 0
        self.clock = Clock.CONTAINER if self._start.is_file else Clock.SENDER_REPORT
        self._guessed.clear()

    def _guess(self, offset: int, receipt_ns: int) -> None:
        """A local relation, in a new epoch."""
        self.offset, self.reported, self.clock = offset, False, Clock.LOCAL
        self._slack, self._window_ns = None, receipt_ns
        self._guessed = [*self._guessed[1 - _GUESSED_EPOCHS :], offset]

    def _continue_after_jump(self, run: Run) -> None:
        """The time goes on by receipt: what the reports said before does not hold for the new pts."""
        receipt = run.members[0].unit.receipt
        since = self.media.receipt_ns
        elapsed = receipt - since if self._start.live else 0
        lowest = min(member.pts for member in run.members)
        self._guessed.clear()
        self._guess(
            self.last_time + max(elapsed, self.media.guess_interval(receipt, since)) - lowest, receipt
        )
        self._settled = True

    def _follow_reports(self, run: Run, relation: int | None, placed: Placed) -> None:
        """A step at once, in a new epoch. What is less at keyframes, by no more than half a frame interval.

        So the reports of a camera that says them inexactly make no gaps, and no frame passes another.
        """
        assert self.offset is not None
        if relation is None:
            return
        self._deviation = moved = relation - self.offset
        if abs(moved) >= self._settings.step_ns:
            placed.new_epoch, placed.moved = True, moved
            self._report(relation)
        elif abs(moved) > self._settings.anchor_ns and self._may_change(run.members[0]):
            most = self.media.interval_ns // 2 or self._settings.step_ns
            self.offset += max(-most, min(moved, most))
            self._deviation = relation - self.offset

    def _improve(self, first: Member, placed: Placed) -> None:
        """From a local or container clock to sender reports, or to a better local one; at a keyframe."""
        assert self.offset is not None
        relation, receipt = self.reports.relation, first.unit.receipt
        if relation is not None:
            if self._may_change(first) or receipt - self.reports.since > _ADOPT_ANYWHERE_NS:
                placed.backdates = self._shifts(relation)
                placed.moved = relation - self.offset
                placed.new_epoch = placed.moved != 0
                self._report(relation)
        elif self.clock is Clock.LOCAL and self._start.live and self._may_change(first):
            self._improve_local(receipt, placed)

    def _improve_local(self, receipt_ns: int, placed: Placed) -> None:
        """By the least delay seen: once soon after the start, with back-dating, then as the clocks drift."""
        assert self.offset is not None
        age, slack = receipt_ns - self._window_ns, self._slack or 0
        settles = not self._settled and age >= self._settings.local_settle_ns
        if not settles and age < _LOCAL_WINDOW_NS:
            return
        better = slack < -_SETTLED_NS if settles else abs(slack) > self._settings.local_drift_ns
        self._slack, self._window_ns = None, receipt_ns
        self._settled = True
        if not better:
            return
        placed.new_epoch, placed.moved = True, slack
        if settles:
            placed.backdates = self._shifts(self.offset + slack)
            self._guessed = [self.offset + slack] * len(self._guessed)
        self._guess(self.offset + slack, receipt_ns)

    def _may_change(self, first: Member) -> bool:
        return not self._is_video or bool(first.unit.flags & FrameFlag.KEY)

    # times

    def _stamp(self, run: Run, placed: Placed) -> None:
        assert self.offset is not None
        offset, last = self.offset, None if placed.new_epoch else self._last_dts
        times = [max(member.pts + offset, 0) for member in run.members]
        for time_ns in sorted(times):
            dts = time_ns if last is None or time_ns > last else last + 1
            if last is not None and NS_PER_MS <= dts - last < self._settings.jump_ns:
                self.media.interval_ns = dts - last
            placed.dts.append(dts)
            last = dts
        placed.times, self._last_dts = times, last
        self.last_time = max(times)
        error = self._error_ns()
        for number, member in enumerate(run.members):
            placed.errors.append(min(error + member.guess_ns, LATEST_NS))
            self.media.advance(member.pts, member.unit.receipt, jump=run.jump and number == 0)
            slack = self._start.wall_ns(member.unit.receipt) - times[number]
            self._slack = slack if self._slack is None else min(self._slack, slack)

    def _error_ns(self) -> int:
        return self._fixed_error_ns() + (abs(self._deviation) if self.reported else 0)

    def _fixed_error_ns(self) -> int:
        if self.reported:
            return self._settings.report_error_ns
        if self.clock is Clock.CONTAINER:
            return self._settings.container_error_ns
        return self._settings.local_error_ns
