"""A takeover on purpose: a server plays dead while it goes on recording, so nothing can be lost by it.

Detection, standing in, merging and handing back are the real ones. What the spare recorded meanwhile is what
would have been saved: where it has gaps, frames would have been lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec

from fovideo.errors import FovideoError, NoSuchStream
from fovideo.peer import Control, RemoteStore, WatchedServer
from fovideo.service.orders import Show, Tell
from fovideo.service.overview import Answer, ask_all, overview
from fovideo.site import Detection, Server, Site, Spare
from fovideo.store.describe import gaps
from fovideo.times import NS_PER_S, format_duration, format_ns

_LOOK_S = 0.1
_GRACE_S = 10.0
_RECORDS = ("standing in", "merging")


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """kind: "real" or "looped". Times in seconds; None = it did not come to that.

    detection_s: from the first missing answer to the takeover; limit_s: what was allowed.
    handback_s: from the server's return until all is merged and its own again.
    lost_s: by camera, stretches that would have been lost (looped: that were). reasons: why it failed.
    """

    kind: str
    site: str
    server: str
    began: str
    spare: str = ""
    detection_s: float | None = None
    limit_s: float = 0.0
    outage_s: float | None = None
    handback_s: float | None = None
    lost_s: dict[str, float] = {}
    reasons: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.reasons

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {"passed": self.passed} | found


def detection_limit_s(detection: Detection) -> float:
    """How long finding out may take: the silence that counts as down, to the next poll, and its timeout."""
    slack_ns = detection.poll_ns + detection.slack_ns
    return (detection.takeover_after_ns + slack_ns) / NS_PER_S


class DrillAborted(FovideoError):
    """The site is not in a state for a drill, or it came to a stop on the way."""

    exit_code = 1


class Drill:
    """One drill on the real site. tell: hears how it goes."""

    def __init__(self, site: Site, server: str, show: Show, *, limit_s: float = 0.0, tell: Tell) -> None:
        self._site, self._server, self._show, self._tell = site, site.server(server), show, tell
        self._limit_s = limit_s or detection_limit_s(self._server.detection)
        self._cameras = [camera.name for camera in site.cameras_of(server)]
        self._last_takeover_ns = 0

    def run(self, hold_s: float) -> DrillReport:
        """Hold the takeover for so long. DrillAborted if the site is not at rest: nothing is touched then."""
        self._check_rest()
        silent_s = max(round(self._limit_s + _GRACE_S + hold_s), 1)
        with closing(self._control()) as control:
            answer = control.play_dead(silent_s)
            began_ns, skew_ns = time.time_ns(), int(answer.get("now_ns", 0)) or time.time_ns()
            self._tell(f"{self._server.name} plays dead")
            try:
                return self._course(control, began_ns, skew_ns - began_ns, hold_s)
            finally:
                control.play_dead(0)

    def _course(self, control: Control, began_ns: int, skew_ns: int, hold_s: float) -> DrillReport:
        report = DrillReport(
            kind="real",
            site=self._site.name,
            server=self._server.name,
            began=format_ns(began_ns),
            limit_s=round(self._limit_s, 3),
        )
        taken = self._find(
            lambda watched: (
                watched.takeover_ns > self._last_takeover_ns
                and watched.state in _RECORDS
                and len(watched.cameras) == len(self._cameras)
            ),
            self._limit_s + _GRACE_S,
        )
        if taken is None:
            return msgspec.structs.replace(report, reasons=("no spare took over",))
        spare, watched, ahead_ns = taken
        detection_s = (watched.takeover_ns - ahead_ns - began_ns) / NS_PER_S
        self._tell(f"{spare.name} stands in after {detection_s:.2f} s (lease {watched.lease})")
        time.sleep(hold_s)
        control.play_dead(0)
        returned_ns = time.time_ns()
        self._tell(f"{self._server.name} answers again")
        back = self._find(
            lambda watched: watched.state == "watching" and not watched.unmerged_frames,
            self._server.detection.quiet_after_ns / NS_PER_S + 120.0,
            spare,
        )
        reasons = []
        if detection_s > self._limit_s:
            reasons.append(f"detection took {detection_s:.2f} s, more than {self._limit_s:.2f} s")
        handback_s = None
        if back is None:
            reasons.append("it was not handed back in time")
        else:
            handback_s = round((time.time_ns() - returned_ns) / NS_PER_S, 2)
        lost = self._lost(spare, began_ns + skew_ns, returned_ns + skew_ns)
        reasons += [f"{camera}: {lost_s:.2f} s would have been lost" for camera, lost_s in lost.items()]
        return msgspec.structs.replace(
            report,
            spare=spare.name,
            detection_s=round(detection_s, 3),
            outage_s=round((returned_ns - began_ns) / NS_PER_S, 2),
            handback_s=handback_s,
            lost_s=lost,
            reasons=tuple(reasons),
        )

    def _check_rest(self) -> None:
        answers = self._answers()
        if not any(answers[spare.name].health for spare in self._watchers()):
            raise DrillAborted("no spare that watches it answers", where=self._server.name)
        self._last_takeover_ns = max(
            (
                health.servers[self._server.name].takeover_ns
                for spare in self._watchers()
                if (health := answers[spare.name].health) and self._server.name in health.servers
            ),
            default=0,
        )
        view = overview(self._site, answers, time.time_ns())
        if view.problems:
            raise DrillAborted(
                f"not now: {view.problems[0]}", where=self._site.name, hint="a drill begins with a whole site"
            )

    def _lost(self, spare: Spare, from_ns: int, to_ns: int) -> dict[str, float]:
        """Seconds by camera that the spare's own footage lacks; empty when it has all."""
        lost: dict[str, float] = {}
        url, show = self._site.reached_at(spare), self._show(spare)
        with closing(RemoteStore(url, credentials=show)) as timeline:
            for camera in self._cameras:
                try:
                    found = gaps(timeline, camera, from_ns, to_ns)
                    missing_ns = sum(gap.end_ns - gap.start_ns for gap in found)
                except NoSuchStream:
                    missing_ns = to_ns - from_ns
                if missing_ns:
                    lost[camera] = round(missing_ns / NS_PER_S, 3)
        return lost

    def _find(
        self, true: Callable[[WatchedServer], bool], patience_s: float, spare: Spare | None = None
    ) -> tuple[Spare, WatchedServer, int] | None:
        """The first spare (or the given one) of which it is true, and how far its clock is ahead of ours."""
        for _ in _looks(patience_s):
            for each in [spare] if spare else self._watchers():
                asked_ns = time.time_ns()
                health = self._answers(each)[each.name].health
                watched = health.servers.get(self._server.name) if health else None
                if health is not None and watched is not None and true(watched):
                    return each, watched, health.now_ns - (asked_ns + time.time_ns()) // 2
        return None

    def _watchers(self) -> list[Spare]:
        return [spare for spare in self._site.spares if self._server in self._site.watched_by(spare)]

    def _answers(self, only: Spare | None = None) -> dict[str, Answer]:
        site = self._site if only is None else msgspec.structs.replace(self._site, servers=(), spares=(only,))
        return ask_all(site, self._show, timeout_ns=2 * NS_PER_S)

    def _control(self) -> Control:
        server: Server = self._server
        return Control(self._site.reached_at(server), credentials=self._show(server))


def _looks(patience_s: float) -> Iterator[None]:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        yield
        time.sleep(_LOOK_S)


def summary(report: DrillReport) -> str:
    """One line for people."""
    if report.detection_s is None:
        return f"drill of {report.server}: FAILED: {'; '.join(report.reasons)}"
    facts = [f"detected in {report.detection_s:.2f} s"]
    if report.handback_s is not None:
        facts.append(f"handed back in {format_duration(round(report.handback_s * NS_PER_S))}")
    facts.append("nothing lost" if not report.lost_s else f"lost {sum(report.lost_s.values()):.2f} s")
    verdict = "passed" if report.passed else f"FAILED: {'; '.join(report.reasons)}"
    return f"drill of {report.server} by {report.spare}: {verdict} ({', '.join(facts)})"
