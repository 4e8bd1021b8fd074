"""Runs: the smallest groups of frames whose presentation times all precede those of the next group.

A frame with no B-frames around it is a run of its own. `I P B B P B B` is the runs `I`, `P B B`, `P B B`. A
run is closed by a frame that is presented after all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from fovideo.camera.clock.reports import Unit, has_pts
from fovideo.camera.clock.settings import StampSettings
from fovideo.media.frames import FrameFlag
from fovideo.times import NS_PER_MS, NS_PER_S

_TOLERANCE_NS = 2 * NS_PER_MS  # between times that a steady camera says
_AHEAD = 4  # frames that tell the interval at the start, B-frames or not


class Member(NamedTuple):
    """A frame of a run. place: among the units given. guess_ns: uncertainty of interpolated pts, else 0."""

    place: int
    unit: Unit
    pts: int
    guess_ns: int = 0

    @property
    def known(self) -> bool:
        """The camera gave the pts."""
        return self.guess_ns == 0


class Run(NamedTuple):
    """members in decode order; jump: pts jumped before it; following: the frame that closed it, if any."""

    members: list[Member]
    jump: bool
    following: Member | None


class Order(NamedTuple):
    """reorders: frames may be shown in another order. keys_first: what follows a keyframe is shown later."""

    reorders: bool
    keys_first: bool


class MediaClock:
    """Where the media clock of one track stands; only `advance` moves it, so that looking ahead is free."""

    def __init__(
        self,
        settings: StampSettings,
        *,
        live: bool,
        interval_ns: int,
        first_pts: int | None = None,
    ) -> None:
        self._settings, self.live = settings, live
        self.first_pts = first_pts
        self.interval_ns = interval_ns
        self.max_pts: int | None = None
        self.receipt_ns = 0

    def guess_interval(self, receipt_ns: int, since_ns: int) -> int:
        """Frame interval: the nominal one, else what receipt suggests, within reason."""
        return self.interval_ns or min(max(receipt_ns - since_ns, NS_PER_MS), NS_PER_S)

    def is_jump(self, pts: int, receipt_ns: int, max_pts: int, since_ns: int) -> bool:
        """Whether pts do not continue max_pts, the highest up to the frame received at since_ns."""
        frames_ns = self.interval_ns * self._settings.reorder_frames or self._settings.reorder_ns
        if pts < max_pts - max(self._settings.reorder_min_ns, frames_ns):
            return True
        return self.live and pts - max_pts - (receipt_ns - since_ns) > self._settings.jump_ns

    def advance(self, pts: int, receipt_ns: int, *, jump: bool = False) -> None:
        """A frame was passed."""
        self.max_pts = pts if jump or self.max_pts is None else max(self.max_pts, pts)
        self.receipt_ns = receipt_ns


def next_run(
    units: Sequence[Unit],
    places: Sequence[int],
    clock: MediaClock,
    settings: StampSettings,
    *,
    order: Order,
    patient: bool,
) -> Run | None:
    """The first run among units[i] for i in places (frames of one track, in ring order).

    order: what is known of the track's order; without reordering each frame is a run.
    None when it cannot be told yet where it ends; never None when not patient (and there is a frame).
    """
    depth = settings.reorder_frames if order.reorders else 1
    first = _first(units, places, clock, depth=depth, keys_first=order.keys_first, patient=patient)
    if first is None:
        return None
    last_max, last_receipt = clock.max_pts, clock.receipt_ns
    jump = last_max is not None and clock.is_jump(first.pts, first.unit.receipt, last_max, last_receipt)
    if not order.reorders and clock.max_pts is not None:
        return Run([first], jump, None)
    members, top = [first], first.pts
    for index in places[1:]:
        unit, since = units[index], members[-1].unit.receipt
        guess_ns = 0 if has_pts(unit) else clock.guess_interval(unit.receipt, since)
        pts = top + guess_ns if guess_ns else unit.pts
        member = Member(index, unit, pts, guess_ns)
        if (
            pts > top
            or len(members) >= settings.reorder_frames
            or clock.is_jump(pts, unit.receipt, top, since)
        ):
            return Run(members, jump, member)
        members.append(member)
    if patient and len(members) < settings.reorder_frames:
        return None
    return Run(members, jump, None)


def _first(
    units: Sequence[Unit],
    places: Sequence[int],
    clock: MediaClock,
    *,
    depth: int,
    keys_first: bool,
    patient: bool,
) -> Member | None:
    """The first frame with its pts, which the packet that opens an RTSP session lacks.

    depth: by how many intervals the guess may be off. keys_first: as in Order.
    """
    index = places[0]
    unit = units[index]
    if has_pts(unit):
        return Member(index, unit, unit.pts)
    if clock.max_pts is not None:
        guess_ns = clock.guess_interval(unit.receipt, clock.receipt_ns)
        return Member(index, unit, clock.max_pts + guess_ns, guess_ns)
    ahead = [units[place] for place in places[1:] if has_pts(units[place])][:_AHEAD]
    if patient and len(ahead) < _AHEAD:
        return None
    if not ahead:
        return Member(index, unit, unit.receipt, clock.guess_interval(0, 0))
    times = sorted(other.pts for other in ahead)
    steps = [after - before for before, after in itertools.pairwise(times) if after > before]
    step = min(steps, default=clock.guess_interval(ahead[0].receipt, unit.receipt))
    said, guess = clock.first_pts, times[0] - step
    in_order = keys_first and bool(unit.flags & FrameFlag.KEY) and len(ahead) == _AHEAD
    if said is not None and said not in times and abs(guess - said) < step * depth:
        # An even beat says when it was shown; what the camera took for the start may be another track's.
        slots = _slots(times, guess, step, 1 if in_order else depth)
        slot = min(slots, key=lambda slot: abs(slot - said), default=said)
        off_ns = abs(slot - said)
        return Member(index, unit, said) if off_ns < _TOLERANCE_NS else Member(index, unit, slot, off_ns)
    # If those ahead are B-frames, it is shown after some of them.
    return Member(index, unit, guess, step * (1 if in_order else depth))


def _slots(times: list[int], middle: int, step: int, depth: int) -> list[int]:
    """Free places in a beat, less than `depth` of them from the middle; none where there is no even beat.

    times: of frames that keep it, sorted; step: the least distance of two.
    """
    since = [time - times[0] for time in times]
    if len(times) < _AHEAD or any(abs(at - (at + step // 2) // step * step) >= _TOLERANCE_NS for at in since):
        return []
    places = (middle + place * step for place in range(1 - depth, depth))
    return [place for place in places if all(abs(place - time) > step // 2 for time in times)]
