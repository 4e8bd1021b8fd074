"""Moving fragments in one compiled pass does what the plain functions do one after the other."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import audio, fragments_of, header_of, metadata, video

from fovideo.errors import SegmentDamaged
from fovideo.media.codec import Codec
from fovideo.segment import SegmentHeader, _move, fragments
from fovideo.segment.fragment import FRAGMENT_UUID, FRAGMENT_VERSION
from fovideo.segment.moof import described
from fovideo.store import moving
from fovideo.store.files import Files
from fovideo.store.moving import Carried, Mover
from fovideo.store.parts import what_tracks_carry
from fovideo.timeline import FileRange


def world(*streams) -> tuple[SegmentHeader, bytes]:
    header = header_of(*streams)
    return header, b"".join(fragments_of(header, *streams, step=5))


WORLDS = {
    "video": world(video(Codec.H264)),
    "sound": world(video(Codec.H265), audio(Codec.AAC)),
    "all": world(video(Codec.H264), audio(Codec.AAC), metadata()),
}


def moved(
    path: Path, header: SegmentHeader, data: bytes, *, compiled: bool, from_file: bool = False
) -> tuple[bytes, list[Carried]]:
    there = msgspec.structs.replace(
        header, base_ns=header.base_ns - 10**9, start_ns=header.start_ns, epoch=header.epoch + 1
    )
    sizes = [each.size_bytes for each in fragments(data, verify=False)] if not from_file else [len(data)]
    parts, at = [], 0
    source = path.with_suffix(".source")
    source.write_bytes(data)
    for size in sizes:
        part = FileRange(str(source), at, size) if from_file else data[at : at + size]
        parts.append(part)
        at += size
    files = Files()
    path.unlink(missing_ok=True)
    fd = files.create(path)
    try:
        with pytest.MonkeyPatch.context() as patch:
            if not compiled:
                patch.setattr(moving, "move", lambda *_: None)
            with Mover(files, fd, there, header.tracks, 0, copies=True) as mover:
                found = mover.take(parts[:2]) + (mover.take(parts[2:]) if parts[2:] else [])
    finally:
        files.close(fd)
    return path.read_bytes(), found


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("from_file", [False, True])
def test_the_same_file_comes_of_it(tmp_path: Path, name: str, from_file: bool) -> None:
    header, data = WORLDS[name]
    ours = moved(tmp_path / "a", header, data, compiled=True, from_file=from_file)
    plain = moved(tmp_path / "b", header, data, compiled=False, from_file=from_file)
    assert ours[0] == plain[0]
    assert len(ours[0]) == len(data)
    assert ours[0] != data
    for one, other in zip(ours[1], plain[1], strict=True):
        assert one[:2] == other[:2]
        assert np.array_equal(one.frames, other.frames)


@pytest.mark.parametrize("offset", [0, 4096, 5000])
def test_blocks_that_the_file_system_shares_are_not_written(
    tmp_path: Path, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Btrfs and XFS: the middle is shared, what is around it and the heads are written."""
    header, data = WORLDS["all"]
    shared = []

    def share(source: int, source_offset: int, target: int, target_offset: int, size: int) -> bool:
        assert [each % 4096 for each in (source_offset, target_offset, size)] == [0, 0, 0]
        os.pwrite(target, os.pread(source, size, source_offset), target_offset)
        shared.append(size)
        return True

    monkeypatch.setattr(moving, "share_blocks", share)
    source = tmp_path / "source"
    source.write_bytes(bytes(offset) + data)
    files, target = Files(), tmp_path / "target"
    fd = files.create(target)
    try:
        for phase in (offset % 4096, 17):
            with Mover(files, fd, header, header.tracks, phase, copies=True) as mover:
                mover.take([FileRange(str(source), offset, len(data))])
            at = 0
            there = target.read_bytes()[phase : phase + len(data)]
            for fragment in fragments(data):
                samples_at, at = at + fragment.data_offset, at + fragment.size_bytes
                assert there[samples_at:at] == data[samples_at:at]
            assert [each.offset for each in fragments(there)] == [each.offset for each in fragments(data)]
    finally:
        files.close(fd)
    assert len(shared) == 1  # the second time the blocks lie otherwise


@given(name=st.sampled_from(sorted(WORLDS)), place=st.integers(0), bit=st.integers(0, 7))
def test_a_changed_bit_is_refused_alike(
    tmp_path_factory: pytest.TempPathFactory, name: str, place: int, bit: int
) -> None:
    header, whole = WORLDS[name]
    changed = bytearray(whole)
    changed[place % len(whole)] ^= 1 << bit
    folder = tmp_path_factory.getbasetemp()
    said = []
    for compiled in (True, False):
        with pytest.raises(SegmentDamaged) as caught:
            moved(folder / "moving", header, bytes(changed), compiled=compiled, from_file=True)
        said.append(str(caught.value))
    assert said[0] == said[1]


@given(st.data())
def test_garbage_is_left_alone(data: st.DataObject) -> None:
    header, whole = WORLDS["all"]
    start = data.draw(st.integers(0, len(whole)))
    size = data.draw(st.integers(0, 200))
    noise = data.draw(st.binary(max_size=60))
    buffer = bytearray(whole[start : start + size] + noise)
    kept = bytes(buffer)
    found = _move.move(
        buffer,
        described(header.tracks),
        what_tracks_carry(header.tracks),
        FRAGMENT_UUID,
        FRAGMENT_VERSION,
        1,
        0,
        0,
    )
    if found is None or not found[1]:
        assert buffer == kept
    else:
        assert sum(size for _, size, _, _ in found[1]) <= len(kept)


@pytest.mark.parametrize("name", WORLDS)
def test_usual_fragments_need_nothing_else(name: str) -> None:
    header, whole = WORLDS[name]
    carries = what_tracks_carry(header.tracks)
    found = _move.move(
        bytearray(whole), described(header.tracks), carries, FRAGMENT_UUID, FRAGMENT_VERSION, 1, 0, 0
    )
    assert found is not None
    assert sum(size for _, size, _, _ in found[1]) == len(whole)


def test_arguments_are_checked() -> None:
    tracks = described(header_of(video(Codec.H264)).tracks)
    carries = bytes(256)
    with pytest.raises(ValueError, match="UUID"):
        _move.move(bytearray(1), tracks, carries, b"x", 1, 1, 0, 0)
    with pytest.raises(ValueError, match="256"):
        _move.move(bytearray(1), tracks, b"", FRAGMENT_UUID, 1, 1, 0, 0)
    with pytest.raises(ValueError, match="time scale"):
        _move.move(bytearray(1), [(1, 0, 0, 0, 0, 0)], carries, FRAGMENT_UUID, 1, 1, 0, 0)
    with pytest.raises(ValueError, match="9 tracks"):
        _move.move(bytearray(1), tracks * 9, carries, FRAGMENT_UUID, 1, 1, 0, 0)
    with pytest.raises(BufferError):
        _move.move(b"x", tracks, carries, FRAGMENT_UUID, 1, 1, 0, 0)
    assert _move.move(bytearray(), tracks, carries, FRAGMENT_UUID, 1, 1, 0, 0) is None
