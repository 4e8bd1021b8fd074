"""Splicing: which of the frames that the target lacks decode where they go. Pure.

A frame decodes if it is a keyframe, or if the frame before it is in the target: the identical one, or one
that is inserted too. The frames of a session are looked at in decode order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fovideo.media.frames import FrameFlag
from fovideo.merge.line import Digests, Mask
from fovideo.merge.manifest import Manifest
from fovideo.merge.planning.inherited import adjacent, inherited
from fovideo.merge.states import CLASH, DOUBT, LATER, MAYBE, NEW, THERE, States
from fovideo.merge.values import Kind
from fovideo.timeline.cover import DEFAULT_INTERVAL_NS, holes
from fovideo.timeline.held import is_one
from fovideo.timeline.values import GopFlag

ADJACENT, BRIDGED, BROKEN = range(3)
"""What is right before a frame: the frame before it in the source; one that only the target has; nothing
known.
"""


class Links(NamedTuple):
    """How the frames of a row hang together, one entry each. before: ADJACENT, BRIDGED or BROKEN.

    after: a frame that only the target has comes right after it. preceding, following: digests of the
    target's frames right before and after it, where it is BRIDGED or such a frame comes.
    """

    before: npt.NDArray[np.uint8]
    after: Mask
    preceding: Digests
    following: Digests

    @classmethod
    def broken(cls, count: int) -> Links:
        """Of frames of which nothing is known."""
        return cls(np.full(count, BROKEN, np.uint8), np.zeros(count, bool), *np.zeros((2, count), np.uint64))

    def at(self, chosen: npt.NDArray[np.int64]) -> Links:
        """Of some of the frames."""
        return Links(self.before[chosen], self.after[chosen], self.preceding[chosen], self.following[chosen])

    def take(self, rows: npt.NDArray[np.int64], known: Links, chosen: slice) -> None:
        """Set those of some frames to what is known of others."""
        self.before[rows] = known.before[chosen]
        self.after[rows] = known.after[chosen]
        self.preceding[rows] = known.preceding[chosen]
        self.following[rows] = known.following[chosen]


_FILL, _HELD = 1, 4  # plus one of
_LEADS, _ENDS, _OPEN = range(3)
_CONFLICT, _DOUBTFUL = 7, 8
_BESIDE = {_CONFLICT: Kind.CONFLICT, _DOUBTFUL: Kind.DOUBTFUL}
_LEAD = {_LEADS: True, _ENDS: False, _OPEN: None}
"""Fates of new frames: in a stretch that fills or is held, which frames of the target continue, which nothing
continues, or which goes on at the end of the row; or kept beside what is shown."""


@dataclass
class Cut:
    """Frames of one source row that are inserted together. rows: of its frame table; None = the whole row.

    follows: some of them, no keyframes, continue frames that are in the target.
    leads: the frame after its last one (where that is no keyframe) is in the target and continues it;
    None = a keyframe or another cut follows. names: of the links at its seams (timeline.links).
    """

    place: int
    kind: Kind
    rows: npt.NDArray[np.int64] | None
    follows: bool = False
    leads: bool | None = None
    names: tuple[int, ...] = ()


@dataclass
class _Row:
    """What later rows must know of an earlier one. chain: its last frame is, or will be, in the target and
    decodes. open_cut: ends with that frame. after: a frame that only the target has comes right after it.
    """

    chain: bool
    open_cut: Cut | None = None
    after: bool = False


class _Alike(NamedTuple):
    """A row whose frames are all THERE, or all NEW from a keyframe on with none of the target's in between.

    link: what is before its first frame. after: a frame that only the target has comes right after it.
    """

    state: int
    link: int
    after: bool


def _rows_alike(
    manifest: Manifest, states: Mapping[int, States | None], links: Mapping[int, Links]
) -> dict[int, _Alike]:
    """By place, those of the rows that were compared."""
    known = [
        (place, mine) for place, mine in states.items() if mine is not None and len(mine) and place in links
    ]
    if not known:
        return {}
    places = [place for place, _ in known]
    frames, state = manifest.joined(places), np.concatenate([mine for _, mine in known])
    before = np.concatenate([links[place].before for place in places])
    after = np.concatenate([links[place].after for place in places])
    first = np.cumsum([0, *(len(mine) for _, mine in known[:-1])])
    primary = frames["track"] == manifest.primary
    last = np.maximum.reduceat(np.where(primary, np.arange(len(frames)), -1), first)
    bridged = before == BRIDGED
    bridged[first] = False
    begins = frames["flags"][first] & FrameFlag.KEY != 0
    whole = np.minimum.reduceat(state, first) == np.maximum.reduceat(state, first)
    new = (state[first] == NEW) & begins & ~np.logical_or.reduceat(bridged, first)
    whole &= primary[first] & ((state[first] == THERE) | new)
    told = zip(state[first].tolist(), before[first].tolist(), after[last].tolist(), strict=True)
    return {
        place: _Alike(*each) for place, each, good in zip(places, told, whole.tolist(), strict=True) if good
    }


def _beside(states: States) -> npt.NDArray[np.uint8]:
    """Fate of the frames that are kept beside what is shown; 0 of all others."""
    fate = np.zeros(len(states), np.uint8)
    fate[states == CLASH] = _CONFLICT
    fate[(states == DOUBT) | (states == MAYBE)] = _DOUBTFUL
    return fate


@dataclass
class Splicer:
    """Goes through the rows of a source manifest by time.

    states: per row, one per frame; None = all NEW. links: of the rows that were compared. previous: the row
    before each one in its session. inherited: names of the links between the first frame of a row and one of
    another session, as the source tells them.
    """

    manifest: Manifest
    states: Mapping[int, States | None]
    links: Mapping[int, Links]
    cuts: list[Cut] = field(default_factory=list)
    previous: dict[int, int] = field(default_factory=dict)
    inherited: dict[int, int] = field(default_factory=dict)
    _rows: dict[int, _Row] = field(default_factory=dict)
    _alike: Mapping[int, _Alike] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._alike = _rows_alike(self.manifest, self.states, self.links)

    def run(self) -> list[Cut]:
        """Cuts of all rows, by row."""
        before: dict[tuple[str, int], int] = {}
        last: dict[str, int] = {}
        for place, row in enumerate(self.manifest.rows):
            if place not in self.states:
                continue
            session = self.manifest.provenance(place).session
            previous = before.get((session, row.epoch), last.get(session))
            if previous is not None and self._is_one(previous, place):
                self.previous[place] = previous
            self._row(place, self.previous.get(place))
            before[session, row.epoch] = last[session] = place
        for done in self._rows.values():
            if done.open_cut is not None and done.open_cut.leads is None:
                done.open_cut.leads = done.after
        return self.cuts

    def _row(self, place: int, previous: int | None) -> None:
        row, states = self.manifest.rows[place], self.states[place]
        key = bool(row.flags & GopFlag.KEY)
        if states is None and key:
            self._tell(previous, link=ADJACENT, key=True, state=NEW)
            cut = Cut(place, Kind.FILL, None)
            self.cuts.append(cut)
            self._rows[place] = _Row(True, cut)
            return
        alike = self._alike.get(place)
        if alike is not None and (key or alike.state == THERE):
            self._whole(place, alike, key, previous)
            return
        frames = self.manifest.stored(place)
        if states is None:
            states = np.full(len(frames), NEW, np.uint8)
        video = np.flatnonzero(frames["track"] == self.manifest.primary)
        if not len(video):
            self._cut(place, states, _beside(states), False)
            return
        first = int(states[video[0]])
        links = self.links_of(place, video, previous)
        link = int(links.before[0])
        chain = link == BRIDGED
        if link == ADJACENT and previous is not None:
            chain = self._rows[previous].chain
        elif link == BROKEN:
            name = inherited(self.manifest, place, self._is_chain)
            chain = name is not None
            if name is not None:
                self.inherited[place] = name
        self._tell(previous, link=link, key=key, state=first if key or chain or first != NEW else LATER)
        self._walk(place, states, video, links, chain)

    def _whole(self, place: int, row: _Alike, key: bool, previous: int | None) -> None:
        """A row of which all frames fare alike: what `_walk` decides on each, at once."""
        link = row.link
        if link == BROKEN and previous is not None and not self._are_linked(previous, place):
            link = ADJACENT if adjacent(self.manifest, previous, place) else link
        self._tell(previous, link=link, key=key, state=row.state)
        cut = None
        if row.state == NEW:
            cut = Cut(place, Kind.FILL, None)
            self.cuts.append(cut)
        self._rows[place] = _Row(True, cut, row.after)

    def links_of(self, place: int, video: npt.NDArray[np.int64], previous: int | None) -> Links:
        """Links of the frames of the primary track."""
        row, frames = self.manifest.rows[place], self.manifest.stored(place)
        known = self.links.get(place)
        if known is not None:
            links = known.at(video)
            if previous is None or self._are_linked(previous, place):
                return links
        else:
            lost = holes(
                frames["dts_ns"][video], frames["flags"][video], row.interval_ns or DEFAULT_INTERVAL_NS
            )
            links = Links.broken(len(video))
            links.before[1:] = np.where(lost, BROKEN, ADJACENT)
        if links.before[0] == BROKEN and previous is not None and adjacent(self.manifest, previous, place):
            links.before[0] = ADJACENT
        return links

    def _walk(
        self, place: int, states: States, video: npt.NDArray[np.int64], links: Links, chain: bool
    ) -> None:
        """Decide on each frame of the primary track. chain: the frame before the row is in the target."""
        frames = self.manifest.stored(place)
        if (states == THERE).all():
            self._rows[place] = _Row(True, None, bool(links.after[-1]))
            return
        flags = frames["flags"][video]
        fate = _beside(states)
        states = np.where(states == DOUBT, THERE, states)
        run: list[int] = []  # frames of the stretch that goes on
        fills = follows = bridged = False
        for number, (at, state, flag, link, after) in enumerate(
            zip(
                video.tolist(),
                states[video].tolist(),
                flags.tolist(),
                links.before.tolist(),
                links.after.tolist(),
                strict=True,
            )
        ):
            key = bool(flag & FrameFlag.KEY)
            filling = fills and bool(run) and link != BRIDGED
            decodes = state == NEW and (
                key or link == BRIDGED or (chain and (filling or link == ADJACENT or number == 0))
            )
            if run and (state != NEW or decodes != fills or link == BRIDGED):
                leads = bridged or (state == THERE and link == ADJACENT)
                fate[run] = (_FILL if fills else _HELD) + (_LEADS if leads else _ENDS)
                run = []
            if state == NEW:
                follows = follows or (decodes and not (filling or key))
                fills = decodes
                run.append(at)
            chain, bridged = decodes or state == THERE, after
        fate[run] = (_FILL if fills else _HELD) + _OPEN
        open_cut = self._cut(place, states, fate, follows)
        self._rows[place] = _Row(chain, open_cut, bridged)

    def _cut(self, place: int, states: States, fate: npt.NDArray[np.uint8], follows: bool) -> Cut | None:
        """Add the cuts of a row; returns the one that goes on at its end."""
        frames = self.manifest.stored(place)
        other = (frames["track"] != self.manifest.primary) & (states == NEW)
        fates = sorted(set(np.unique(fate).tolist()) - {0, *_BESIDE})
        fate[other] = fates[0] if fates else _FILL + _OPEN
        open_cut = None
        for code in sorted(set(np.unique(fate).tolist()) - {0}):
            rows = np.flatnonzero(fate == code)
            kind = _BESIDE.get(code) or (Kind.FILL if code < _HELD else Kind.HELD)
            lead = None if code in _BESIDE else _LEAD[(code - 1) % 3]
            whole = len(rows) == len(frames)
            cut = Cut(place, kind, None if whole else rows, follows and kind is Kind.FILL, lead)
            if code in fates and code in (_FILL + _OPEN, _HELD + _OPEN):
                open_cut = cut
            self.cuts.append(cut)
        self._rows.setdefault(place, _Row(False))
        return open_cut

    def _tell(self, previous: int | None, *, link: int, key: bool, state: int) -> None:
        """Let the row before know what follows it."""
        before = None if previous is None else self._rows[previous]
        if before is None or before.open_cut is None:
            return
        cut = before.open_cut
        if link == ADJACENT and ((key and state in (NEW, THERE)) or state == NEW):
            return
        cut.leads = cut.leads is not False and (before.after or (link == ADJACENT and state == THERE))

    def _is_one(self, previous: int, place: int) -> bool:
        """Whether the source shows two rows of one session as one recording: of one epoch, or of another that
        began as the session was recorded again.
        """
        before, after = self.manifest.rows[previous], self.manifest.rows[place]
        return before.epoch == after.epoch or is_one(before, after)

    def _are_linked(self, previous: int, place: int) -> bool:
        """Whether the links of a row tell of the row before it, too: they are those of one epoch."""
        rows = self.manifest.rows
        return previous in self.links and rows[previous].epoch == rows[place].epoch

    def _is_chain(self, place: int) -> bool:
        return place in self._rows and self._rows[place].chain
