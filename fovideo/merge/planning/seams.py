"""Seams: names of the links between what is inserted and what lies beside it (fovideo.timeline.links). Pure.

A name tells a fact: some recorder received the second frame right after the first. So all are told that lie
at the edges of a cut, whether the other frame is there or may come.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fovideo.media.frames import FrameFlag
from fovideo.merge.planning.splice import ADJACENT, BRIDGED, Cut, Splicer
from fovideo.timeline.links import link
from fovideo.timeline.values import GopFlag


def name_seams(splicer: Splicer) -> None:
    """Give the cuts of a splicer that has run their names."""
    following = {before: place for place, before in splicer.previous.items()}
    keys = [bool(row.flags & GopFlag.KEY) for row in splicer.manifest.rows]
    for cut in splicer.cuts:
        after = following.get(cut.place)
        if cut.rows is None and keys[cut.place] and (after is None or keys[after]):
            links = splicer.links.get(cut.place)
            if links is None or not links.after.any():
                continue
        cut.names = tuple(_names(splicer, cut, after))


def _names(splicer: Splicer, cut: Cut, after: int | None) -> Iterator[int]:
    """after: place of the next row of the session."""
    manifest, place = splicer.manifest, cut.place
    frames, previous = manifest.stored(place), splicer.previous.get(place)
    video = np.flatnonzero(frames["track"] == manifest.primary)
    if not len(video):
        return
    mine = np.ones(len(video), bool) if cut.rows is None else np.isin(video, cut.rows)
    links = splicer.links_of(place, video, previous)
    digests, delta = frames["digest"][video], frames["flags"][video] & FrameFlag.KEY == 0
    for at in np.flatnonzero(mine & delta & (links.before == BRIDGED)).tolist():
        yield link(int(links.preceding[at]), int(digests[at]))
    for at in np.flatnonzero(mine & links.after).tolist():
        yield link(int(digests[at]), int(links.following[at]))
    meets = delta[1:] & (links.before[1:] == ADJACENT) & (mine[1:] != mine[:-1])
    for at in np.flatnonzero(meets).tolist():
        yield link(int(digests[at]), int(digests[at + 1]))
    if mine[0] and place in splicer.inherited:
        yield splicer.inherited[place]
    if mine[0] and delta[0] and links.before[0] == ADJACENT and previous is not None:
        yield from _between(splicer, previous, place)
    if mine[-1] and after is not None and not manifest.rows[after].flags & GopFlag.KEY:
        first = manifest.stored(after)["track"] == manifest.primary
        if first.any() and splicer.links_of(after, np.flatnonzero(first)[:1], place).before[0] == ADJACENT:
            yield from _between(splicer, place, after)


def _between(splicer: Splicer, place: int, after: int) -> Iterator[int]:
    """The last frame of a row and the first one of the next."""
    before, behind = splicer.manifest.shown(place), splicer.manifest.shown(after)
    if len(before) and len(behind):
        yield link(int(before["digest"][-1]), int(behind["digest"][0]))
