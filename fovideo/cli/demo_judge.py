"""The judgement of the demo: which frames that a camera sent does the healed timeline hold, and how often?"""

from __future__ import annotations

from collections import Counter

import msgspec

from fovideo.custody.parts import bytes_of
from fovideo.media.codec import VIDEO_TRACK, Codec
from fovideo.media.marker import read_marker
from fovideo.segment import decode_table, fragments, samples
from fovideo.timeline import effective, play_order
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_S

_REACH_NS = 2 * NS_PER_S


class Verdict(msgspec.Struct, frozen=True):
    """Frames of one camera. sent: put out while the site was to record; the rest: of those."""

    camera: str
    sent: int
    in_timeline: int
    missing: int
    duplicate: int
    missing_numbers: tuple[int, ...] = ()

    @property
    def good(self) -> bool:
        return self.sent > 0 and self.missing == 0 and self.duplicate == 0


def recorded_numbers(timeline: Timeline, stream: str, camera: int) -> Counter[int]:
    """How often each running number, read from the markers in the footage itself, stands in a timeline."""
    numbers: Counter[int] = Counter()
    for row in timeline.gops(stream):
        codec = next((t.codec for t in timeline.tracks(stream, row) if t.id == VIDEO_TRACK), Codec.H264)
        data = bytes_of(timeline.read(stream, row))
        for fragment in fragments(data):
            for frame, sample in zip(fragment.frames, samples(fragment, data, fragment.offset), strict=True):
                marker = read_marker(sample, codec) if frame["track"] == VIDEO_TRACK else None
                if marker is not None and marker[0] == camera:
                    numbers[marker[1]] += 1
    return numbers


def judge(timeline: Timeline, stream: str, camera: int, first: int, last: int) -> Verdict:
    """Compare what stands in the timeline with the numbers first..last that the camera sent."""
    found = recorded_numbers(timeline, stream, camera)
    missing = tuple(number for number in range(first, last + 1) if number not in found)
    within = {number: count for number, count in found.items() if first <= number <= last}
    return Verdict(
        stream,
        sent=last - first + 1,
        in_timeline=sum(within.values()),
        missing=len(missing),
        duplicate=sum(found.values()) - len(found),
        missing_numbers=missing[:20],
    )


def judge_by_witness(timeline: Timeline, witness: Timeline, stream: str, from_ns: int, to_ns: int) -> Verdict:
    """Compare a timeline with what an independent recorder of the same camera received in [from_ns, to_ns).

    For cameras without markers: each frame of the witness must have a partner, of equal digest and about the
    same time, and between the first and the last partner there must be nothing else.
    """
    sent = _digests(witness, stream, from_ns, to_ns)
    # the clocks of two recorders may differ a little: look further and judge between the partners
    found = _digests(timeline, stream, from_ns - _REACH_NS, to_ns + _REACH_NS)
    places: dict[int, list[int]] = {}
    for place, (_, digest) in enumerate(found):
        places.setdefault(digest, []).append(place)
    partners = []
    for time_ns, digest in sent:
        near = [place for place in places.get(digest, ()) if abs(found[place][0] - time_ns) <= _REACH_NS]
        if near:
            partner = min(near, key=lambda place: abs(found[place][0] - time_ns))
            places[digest].remove(partner)
            partners.append(partner)
    inside = max(partners) - min(partners) + 1 if partners else 0
    missing = len(sent) - len(partners)
    return Verdict(stream, len(sent), inside, missing, duplicate=inside - len(partners))


def _digests(timeline: Timeline, stream: str, from_ns: int, to_ns: int) -> list[tuple[int, int]]:
    """(time_ns, digest) of the video frames, in decode order."""
    rows = timeline.gops(stream, from_ns, to_ns)
    tables = [effective(decode_table(row.table), row.shift_ns) for row in rows]
    return [
        (int(frame["time_ns"]), int(frame["digest"]))
        for number, place in play_order(tables).tolist()
        if (frame := tables[number][place])["track"] == VIDEO_TRACK and from_ns <= frame["time_ns"] < to_ns
    ]
