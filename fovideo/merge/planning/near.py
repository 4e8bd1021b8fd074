"""Near: of both sides only what lies around the footage that waits to be merged.

The clocks of two stores may be minutes apart, so a plan looks at all footage within those. Where every
recorder times the camera by the camera's own clock, and that clock ran on, the times of all footage agree to
a fraction of a second, and what is further away can't be the same. Pure.
"""

from __future__ import annotations

from fovideo.media.frames import Clock
from fovideo.merge.footage import moved_ns, reported_sessions, rows_meeting
from fovideo.merge.manifest import Manifest, Run
from fovideo.merge.placing.machines import SLACK_NS
from fovideo.merge.placing.runs import Placement
from fovideo.merge.states import CLASH, NEW
from fovideo.timeline.values import GopFlag
from fovideo.times import NS_PER_MS, NS_PER_S

NEAR_NS = 90 * NS_PER_S
"""What is looked at on either side of footage that waits: some sections in which an offset is measured."""

_ERROR_NS = 500 * NS_PER_MS  # by their own account, the times are as good as this
_MOVED_NS = NS_PER_S  # merges have put footage off its recorded times by less
_CONFIRMED = 8  # frames that are the same, and prove the offset


def is_confirmed(placement: Placement) -> bool:
    """Whether frames that are the same prove the clock of each run that brings something, and nothing
    contradicts.
    """
    for placed in placement.runs:
        states = placed.states.values()
        if any((each == CLASH).any() for each in states):
            return False
        brings = len(states) < len(placed.run.places) or any((each == NEW).any() for each in states)
        if brings and placed.matched < _CONFIRMED:
            return False
    return True


def near_waiting(
    source: Manifest, target: Manifest, reach_ns: int = NEAR_NS
) -> tuple[Manifest, Manifest] | None:
    """Both sides within reach of the source's rows that wait to be merged; None where times alone don't say
    what is near, or nothing is far.
    """
    waiting = [row for row in source.rows if row.flags & GopFlag.PENDING]
    if not waiting:
        return None
    ours = rows_meeting(source.rows, waiting, reach_ns)
    kept = [row for place, row in enumerate(source.rows) if ours[place]]
    theirs = rows_meeting(target.rows, kept, reach_ns)
    if (ours.all() and theirs.all()) or not theirs.any():
        return None
    if not (_by_the_camera(source) and _by_the_camera(target)):
        return None
    return source.only(ours), target.only(theirs)


def _by_the_camera(manifest: Manifest) -> bool:
    """Whether all footage lies where one clock of the camera, which never stepped, puts it."""
    reported = reported_sessions(manifest)
    lags: dict[str, list[int]] = {}
    for run in manifest.runs():
        if run.session not in reported:
            return False
        for place in {run.places[0], run.places[-1]}:
            lag_ns = _lag_ns(manifest, run, place)
            if lag_ns is None:
                return False
            lags.setdefault(run.provenance.store, []).append(lag_ns)
    return all(max(each) - min(each) <= SLACK_NS for each in lags.values())


def _lag_ns(manifest: Manifest, run: Run, place: int) -> int | None:
    """Least delay between the recorded times of a row's frames and their receipt; None where that is not
    known, or merges have put the row elsewhere.
    """
    put_off_ns = moved_ns(manifest, place)
    if abs(put_off_ns) > _MOVED_NS:
        return None
    frames = manifest.stored(place)
    told = frames["clock"] == Clock.SENDER_REPORT
    if (frames["error_ns"][told] > _ERROR_NS).any():
        return None
    live = frames[(frames["receipt_ns"] != 0) & (frames["clock"] != Clock.CONTAINER)]
    if not len(live):
        return None
    recorded_ns = manifest.rows[place].shift_ns - put_off_ns
    return int((live["receipt_ns"] - live["time_ns"]).min()) - recorded_ns
