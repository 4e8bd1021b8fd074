"""The worked example of docs/ref/segment.md, read from the page and decoded byte for byte."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fovideo.media.codec import Codec, Track
from fovideo.media.frames import Clock, FrameFlag
from fovideo.segment import Notes, SegmentHeader, decode_table, encode_fragment, parse_fragment, samples
from fovideo.segment.fragment import FRAGMENT_UUID
from fovideo.segment.header import HEADER_UUID
from fovideo.timeline.values import Provenance

PAGE = Path(__file__).parents[2] / "docs" / "ref" / "segment.md"
BASE_NS = 1_790_000_000_000_000_000


@pytest.fixture(scope="module")
def page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example(page: str) -> bytes:
    data = b""
    for at, text in re.findall(r"^\| (\d+) \| `([0-9a-f ]+)` \|", page, re.MULTILINE):
        assert int(at) == len(data)
        data += bytes.fromhex(text)
    return data


def test_it_says_what_the_page_says(example: bytes) -> None:
    fragment = parse_fragment(example)
    assert (fragment.size_bytes, fragment.data_offset, fragment.key_start) == (len(example), 309, True)
    assert (fragment.base_ns, fragment.epoch) == (BASE_NS, 2)
    assert fragment.notes == Notes(backdates=((2, -7_000_000),))
    frames = fragment.frames
    assert (frames["time_ns"] - BASE_NS).tolist() == [80_000_000, 120_000_000]
    assert (frames["dts_ns"] == frames["time_ns"]).all()
    assert (frames["receipt_ns"] - frames["dts_ns"]).tolist() == [5_000_000, 5_001_000]
    assert frames["error_ns"].tolist() == [1_000_000] * 2
    assert frames["digest"].tolist() == [0x1122334455667788, 0x99AABBCCDDEEFF00]
    assert frames["flags"].tolist() == [FrameFlag.KEY, 0]
    assert frames["clock"].tolist() == [Clock.SENDER_REPORT] * 2
    assert [bytes(s) for s in samples(fragment, example, 0)] == [example[309:315], example[315:]]


def test_the_code_writes_it(example: bytes) -> None:
    fragment = parse_fragment(example)
    header = SegmentHeader(
        stream="gate",
        tracks=(Track(id=1, codec=Codec.H264, parameter_sets=(bytes.fromhex("6742c00bda0a37e48400"),)),),
        provenance=Provenance(recorder="rec-1", session="0" * 16),
        base_ns=BASE_NS,
        start_ns=BASE_NS,
    )
    payloads = samples(fragment, example, 0)
    assert b"".join(encode_fragment(header, 3, 2, fragment.frames, payloads, fragment.notes)) == example


def test_the_table_stands_alone(example: bytes) -> None:
    assert (decode_table(example[68:130]) == parse_fragment(example).frames).all()


def test_the_marks_are_those_of_the_page(page: str) -> None:
    for mark in (HEADER_UUID, FRAGMENT_UUID):
        assert mark.hex() in page.replace("-", "")
