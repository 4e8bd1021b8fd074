"""Parameter sets in band: what is new, what replaces what."""

from __future__ import annotations

from typing import Any

import pytest
from footage import AUDIO, PPS, SPS, VIDEO, sample
from hypothesis import given
from hypothesis import strategies as st
from ring_camera import with_sets
from streams import video

from fovideo.media.codec import Codec, Track
from fovideo.record.format_change import changed_tracks, has_format, set_name

PPS_1 = b"\x68\x5a\xcb\x83"  # id 1: 010 ...
PPS_1B = b"\x68\x5a\xcb\x84"


def sets_after(tracks: tuple[Track, ...], *sets: bytes) -> tuple[bytes, ...] | None:
    changed = changed_tracks(tracks, memoryview(with_sets(sample(0, key=True), *sets)))
    return None if changed is None else changed[0].parameter_sets


def test_known_sets_bring_nothing_new() -> None:
    assert sets_after((VIDEO,), SPS, PPS) is None
    assert sets_after((VIDEO,), PPS) is None
    assert sets_after((VIDEO,)) is None


def test_a_set_replaces_that_of_its_name_only() -> None:
    assert set_name(Codec.H264, PPS)[1] == 0
    assert set_name(Codec.H264, PPS_1) == set_name(Codec.H264, PPS_1B) == (8, 1)
    assert sets_after((VIDEO,), PPS_1) == (SPS, PPS, PPS_1)
    both = (Track(id=1, codec=Codec.H264, parameter_sets=(SPS, PPS, PPS_1)),)
    assert sets_after(both, PPS_1B) == (SPS, PPS, PPS_1B)
    assert sets_after(both, SPS, PPS) is None  # sent by turns


def test_other_tracks_stay() -> None:
    changed = changed_tracks((VIDEO, AUDIO), memoryview(with_sets(sample(0, key=True), PPS_1)))
    assert changed is not None
    assert changed[1] is AUDIO


def test_no_video_no_change() -> None:
    assert changed_tracks((AUDIO,), memoryview(with_sets(b"", PPS_1))) is None


def test_when_a_format_is_known() -> None:
    assert has_format((VIDEO, AUDIO))
    assert has_format((AUDIO,))
    assert not has_format((Track(id=1, codec=Codec.H264), AUDIO))


@pytest.mark.parametrize("codec", [Codec.H264, Codec.H265])
def test_sets_of_encoders(codec: Codec) -> None:
    made: Any = video(codec)
    bare = (Track(id=1, codec=codec),)
    changed = changed_tracks(bare, memoryview(made.payloads[0]))
    assert changed is not None
    assert changed[0].parameter_sets == made.track.parameter_sets
    assert (changed[0].width, changed[0].height) == (made.track.width, made.track.height)
    assert changed_tracks(changed, memoryview(made.payloads[0])) is None


@given(st.sampled_from([Codec.H264, Codec.H265]), st.binary(min_size=1, max_size=20))
def test_any_unit_has_a_name(codec: Codec, unit: bytes) -> None:
    kind, number = set_name(codec, unit)
    assert 0 <= kind < 64
    assert 0 <= number < 1 << 16
