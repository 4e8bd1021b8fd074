"""Cutting a clip out of a timeline, to loop it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from fovideo.errors import NothingThere
from fovideo.media.codec import Codec, Track
from fovideo.media.nal import iter_nals
from fovideo.replay.clip import Clip, ClipTrack, Sample, ranks, video_track
from fovideo.replay.read import Packet, read_packets
from fovideo.timeline.endpoint import Timeline
from fovideo.times import NS_PER_S

_COMMON_RATES = [Fraction(rate) for rate in (5, 6, 8, 10, 12, 15, 20, 25, 30, 50, 60)] + [
    Fraction(rate * 1000, 1001) for rate in (24, 30, 60)
]
_DEFAULT_RATE = Fraction(25)


def cut_clip(timeline: Timeline, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> Clip:
    """The frames that cover [from_ns, to_ns) as a clip in memory, evenly timed; without metadata.

    Raises NothingThere and NoSuchStream.
    """
    packets = list(read_packets(timeline, stream, from_ns, to_ns))
    where = f"{timeline.location} {stream}"
    if not packets:
        raise NothingThere("no video in this stretch", where=where)
    made = []
    for track in packets[0].tracks:
        mine = [packet for packet in packets if packet.track == track.id and _same_codec(packet, track)]
        if track.codec.is_video and mine:
            made.append(_video(track, mine, where))
        elif track.codec.is_audio and mine:
            made.append(_audio(track, mine))
    return Clip(tuple(made))


def _same_codec(packet: Packet, track: Track) -> bool:
    return any(each.id == track.id and each.codec is track.codec for each in packet.tracks)


def _video(track: Track, packets: Sequence[Packet], where: str) -> ClipTrack:
    order = ranks([packet.time_ns for packet in packets])
    step_ns = _step_ns([packet.time_ns for packet in packets])
    rate = common_rate(Fraction(NS_PER_S, step_ns)) if step_ns else _DEFAULT_RATE
    units = [packet.payload for packet in packets]
    clip = video_track(track.codec, units, order, rate, (track.width, track.height), where)
    if clip.track.parameter_sets:
        return clip
    first = clip.samples[0]  # a camera that told them only in its SDP
    nals = tuple(bytes(nal) for nal in iter_nals(packets[0].payload))
    head = Sample((*track.parameter_sets, *nals), first.rank, first.key)
    return ClipTrack(track, (head, *clip.samples[1:]), rate)


def _audio(track: Track, packets: Sequence[Packet]) -> ClipTrack:
    samples = tuple(Sample((packet.payload,), rank, True) for rank, packet in enumerate(packets))
    clock = 48_000 if track.codec is Codec.OPUS else track.sample_rate
    step_ns = _step_ns([packet.time_ns for packet in packets])
    return ClipTrack(
        track, samples, Fraction(clock, max(1, round(step_ns * clock / NS_PER_S)) if step_ns else 1024)
    )


def _step_ns(times: Sequence[int]) -> int:
    """Median distance of neighbours in order of presentation, 0 for a single one."""
    steps = [after - before for before, after in pairwise(sorted(times))]
    return round(statistics.median(steps)) if steps else 0


def common_rate(rate: Fraction) -> Fraction:
    """The usual frame rate within 0.2 % of a measured one, else the measured one."""
    nearest = min(_COMMON_RATES, key=lambda usual: abs(usual - rate))
    return nearest if abs(rate / nearest - 1) < Fraction(2, 1000) else rate.limit_denominator(10_000)
