"""Files by descriptor: what the kernel does, and the portable path with the same result."""

from __future__ import annotations

import errno
import mmap
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fovideo.platform import (
    _sync,
    copy_file_range,
    discard_cached,
    disk_space,
    fdatasync,
    fdatasync_all,
    fsync_dir,
    read_at,
    read_in_order,
    share_blocks,
    start_writing,
    write_around_cache,
    write_at,
)
from fovideo.platform.files import BLOCK_BYTES


@pytest.fixture(params=["kernel", "portable"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with what this system has, and as if it had only what every system has."""
    if request.param == "portable":
        for name in ("pwritev", "pread", "copy_file_range", "fdatasync", "posix_fadvise"):
            monkeypatch.delattr(os, name, raising=False)
    return str(request.param)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    yield descriptor
    os.close(descriptor)


@pytest.mark.usefixtures("system")
def test_buffers_are_written_one_behind_the_other(fd: int, tmp_path: Path) -> None:
    buffers: list[bytes | bytearray | memoryview] = [b"ab", b"", bytearray(b"cde"), memoryview(b"xfgy")[1:3]]
    assert write_at(fd, buffers, 3) == 7
    assert (tmp_path / "file").read_bytes() == b"\0\0\0abcdefg"
    assert write_at(fd, [], 0) == write_at(fd, [b""], 0) == 0


@pytest.mark.usefixtures("system")
def test_more_buffers_than_one_call_takes(fd: int) -> None:
    buffers = [bytes([i % 251]) * (i % 5) for i in range(5000)]
    assert write_at(fd, buffers, 0) == sum(map(len, buffers))
    assert read_at(fd, 1 << 20, 0) == b"".join(buffers)


def test_short_writes_are_continued(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwritev

    def short(fd: int, buffers: list[memoryview], offset: int) -> int:
        return real(fd, [b"".join(buffers)[:3]], offset)

    monkeypatch.setattr(os, "pwritev", short)
    buffers = [b"a", b"bcdefgh", b"ij", b"klmnop", b"q"]
    assert write_at(fd, buffers, 2) == 17
    assert read_at(fd, 100, 0) == b"\0\0abcdefghijklmnopq"


@pytest.mark.parametrize("compiled", [True, False])
def test_one_file_that_cannot_be_synced_hides_no_other(
    fd: int, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(_sync, "AVAILABLE", False)
    read, write = os.pipe()
    try:
        before, pipe, after = fdatasync_all([fd, write, fd])
    finally:
        os.close(read)
        os.close(write)
    assert (before, after) == (None, None)
    assert isinstance(pipe, OSError)
    assert fdatasync_all([]) == []


@pytest.mark.usefixtures("system")
def test_read_stops_at_the_end(fd: int) -> None:
    os.write(fd, b"0123456789")
    assert read_at(fd, 4, 3) == b"3456"
    assert read_at(fd, 100, 8) == b"89"
    assert read_at(fd, 1, 10) == read_at(fd, 0, 0) == b""


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(0, 9000),
    source_offset=st.integers(0, 9000),
    target_offset=st.integers(0, 9000),
    length=st.integers(0, 9000),
    portable=st.booleans(),
)
def test_copy_copies_what_is_there(
    size: int, source_offset: int, target_offset: int, length: int, portable: bool
) -> None:
    data = os.urandom(size)
    source, target = os.memfd_create("source"), os.memfd_create("target")
    try:
        os.write(source, data)
        with pytest.MonkeyPatch.context() as patch:
            if portable:
                patch.delattr(os, "copy_file_range")
            expected = data[source_offset : source_offset + length]
            copied = copy_file_range(source, source_offset, target, target_offset, length)
        assert copied == len(expected)
        assert read_at(target, len(expected), target_offset) == expected
    finally:
        os.close(source)
        os.close(target)


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_copy_goes_on_by_hand_where_the_kernel_cannot(
    fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real, calls = os.copy_file_range, []

    def half(*arguments: Any) -> int:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError(code, os.strerror(code))
        source, target, _, source_offset, target_offset = arguments
        return real(source, target, 4, source_offset, target_offset)

    monkeypatch.setattr(os, "copy_file_range", half)
    os.write(fd, b"0123456789")
    with (tmp_path / "copy").open("wb+") as copy:
        assert copy_file_range(fd, 1, copy.fileno(), 0, 8) == 8
    assert (tmp_path / "copy").read_bytes() == b"12345678"
    assert len(calls) == 2


def test_copy_to_a_full_disk_is_an_error(fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    os.write(fd, b"data")
    with (tmp_path / "copy").open("wb+") as copy, pytest.raises(OSError) as caught:
        copy_file_range(fd, 0, copy.fileno(), 0, 4)
    assert caught.value.errno == errno.ENOSPC


def test_blocks_are_shared_or_left_alone(fd: int, tmp_path: Path) -> None:
    data = os.urandom(4 * BLOCK_BYTES)
    os.write(fd, data)
    with (tmp_path / "copy").open("wb+", buffering=0) as copy:
        os.ftruncate(copy.fileno(), len(data))
        shared = share_blocks(fd, BLOCK_BYTES, copy.fileno(), BLOCK_BYTES, 2 * BLOCK_BYTES)
        there = read_at(copy.fileno(), 2 * BLOCK_BYTES, BLOCK_BYTES)
    assert there == (data[BLOCK_BYTES:-BLOCK_BYTES] if shared else bytes(2 * BLOCK_BYTES))


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_a_disk_that_is_full_or_fails_is_no_reason_to_share_nothing(
    fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    codes = [errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL]

    def fails(*_: Any) -> int:
        code = codes.pop(0) if codes else errno.ENOSPC
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "ioctl", fails)
    while codes:
        assert not share_blocks(fd, 0, fd, BLOCK_BYTES, BLOCK_BYTES)
    with pytest.raises(OSError) as caught:
        share_blocks(fd, 0, fd, BLOCK_BYTES, BLOCK_BYTES)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.usefixtures("system")
def test_syncs_and_hints_accept_a_file(fd: int, tmp_path: Path) -> None:
    os.write(fd, b"data")
    read_in_order(fd)
    fdatasync(fd)
    assert fdatasync_all([fd, fd]) == [None, None]
    fsync_dir(tmp_path)
    discard_cached(fd, 0, 4)
    assert read_at(fd, 4, 0) == b"data"


def test_sync_errors_come_through(tmp_path: Path) -> None:
    read, write = os.pipe()
    try:
        with pytest.raises(OSError):
            fdatasync(write)
    finally:
        os.close(read)
        os.close(write)
    with pytest.raises(FileNotFoundError):
        fsync_dir(tmp_path / "missing")


def test_disk_space(tmp_path: Path) -> None:
    space = disk_space(tmp_path)
    assert 0 <= space.free_bytes <= space.total_bytes


def test_a_hint_to_write_changes_nothing(fd: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.write(fd, b"abc")
    start_writing(fd, 0, 3)
    start_writing(fd, 1 << 40, 1 << 20)
    monkeypatch.setattr("fovideo.platform.files._sync_file_range", None)
    start_writing(fd, 0, 3)
    assert (tmp_path / "file").read_bytes() == b"abc"


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 20_000), st.integers(0, 40_000), st.integers(0, 5000), st.booleans())
def test_writing_around_the_cache_leaves_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, offset: int, size: int, inside: int, right: bool
) -> None:
    """Wherever it goes and wherever it lies in memory; what is before it and behind it stays."""
    path = tmp_path_factory.mktemp("direct") / "file"
    before = os.urandom(offset + 5000)
    path.write_bytes(before)
    with mmap.mmap(-1, 1 << 16) as memory:
        at = offset % mmap.PAGESIZE if right else inside
        memory[at : at + size] = payload = os.urandom(size)
        with memoryview(memory) as whole, whole[at : at + size] as view:
            fd = os.open(path, os.O_RDWR)
            try:
                assert write_around_cache(fd, view, offset) == size
                fdatasync(fd)
            finally:
                os.close(fd)
    assert path.read_bytes() == before[:offset] + payload + before[offset + size :]


def test_a_buffer_that_cannot_be_written_to_is_written(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    try:
        assert write_around_cache(fd, b"x" * 10_000, 0) == 10_000
    finally:
        os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"x" * 10_000
