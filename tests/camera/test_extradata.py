"""Decoder configuration: what real muxers write is read back; what is cut short is refused."""

from __future__ import annotations

import contextlib
import itertools
import struct
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.camera.extradata import video_config
from fovideo.camera.metadata import Documents
from fovideo.media.codec import Codec
from fovideo.media.sps import video_size
from fovideo.replay import make_clip


@pytest.fixture(scope="module", params=["h264", "h265"])
def extradata(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Codec, bytes, bytes]:
    """avcC or hvcC as libavformat writes it, and the first sample of the file."""
    path: Path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, request.param, seconds=0.2, width=160, height=96)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        packet = next(iter(container.demux(stream)))
        return Codec(request.param), bytes(stream.codec_context.extradata or b""), bytes(packet)


def test_what_muxers_write(extradata: tuple[Codec, bytes, bytes]) -> None:
    codec, data, _ = extradata
    config = video_config(codec, data)
    assert config.nal_length_size == 4
    assert len(config.parameter_sets) == (2 if codec is Codec.H264 else 3)
    assert video_size(codec, config.parameter_sets) == (160, 96)


def test_annex_b_gives_the_same_sets(extradata: tuple[Codec, bytes, bytes]) -> None:
    codec, data, _ = extradata
    sets = video_config(codec, data).parameter_sets
    shuffled = b"\0\0\1" + sets[-1] + b"".join(b"\0\0\0\1" + unit for unit in sets) + b"\0\0"
    config = video_config(codec, shuffled)
    assert config.parameter_sets == sets
    assert config.nal_length_size == 0


def test_cut_short(extradata: tuple[Codec, bytes, bytes]) -> None:
    codec, data, _ = extradata
    sets = video_config(codec, data).parameter_sets
    for size in range(1, len(data)):
        with contextlib.suppress(ValueError):
            assert set(video_config(codec, data[:size]).parameter_sets) <= set(sets)
    with pytest.raises(ValueError, match="cut short"):
        video_config(codec, data[:20])


@given(st.sampled_from([Codec.H264, Codec.H265]), st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(codec: Codec, data: bytes) -> None:
    try:
        config = video_config(codec, data)
    except ValueError:
        return
    assert config.nal_length_size in (0, 1, 2, 3, 4)
    assert all(config.parameter_sets)


def test_nothing_known() -> None:
    assert video_config(Codec.H264, b"").parameter_sets == ()


def test_length_sizes() -> None:
    sps, pps = b"\x67\x42\x00\x1e", b"\x68\xce"
    for size in (1, 2, 4):
        data = struct.pack(">BBBBB", 1, 66, 0, 30, 0xFC | (size - 1))
        data += b"\xe1" + struct.pack(">H", 4) + sps + b"\x01" + struct.pack(">H", 2) + pps
        config = video_config(Codec.H264, data)
        assert config.nal_length_size == size
        assert config.parameter_sets == (sps, pps)


DOCUMENT = b"<tt:MetadataStream>" + b"x" * 3000 + b"</tt:MetadataStream>"


@given(st.lists(st.integers(1, 3039), max_size=6))
def test_documents_are_put_together_from_any_fragments(cuts: list[int]) -> None:
    places = sorted({0, *cuts, len(DOCUMENT)})
    documents = Documents()
    found = []
    for number in range(3):
        for begin, end in itertools.pairwise(places):
            found += documents.add(DOCUMENT[begin:end], number * 100, number)
    assert found == [(DOCUMENT, number * 100, number) for number in range(3)]


def test_a_document_without_its_end_is_closed_by_the_next() -> None:
    documents = Documents()
    assert documents.add(b"<a>", 1, 10) == []
    assert documents.add(DOCUMENT, 2, 20) == [(b"<a>", 1, 10), (DOCUMENT, 2, 20)]


def test_a_document_without_end_does_not_grow_for_ever() -> None:
    documents = Documents()
    found = [made for _ in range(2000) for made in documents.add(bytes(1024), 1, 1)]
    assert found
    assert all(len(document) <= 1 << 20 for document, _, _ in found)
