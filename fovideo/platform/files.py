"""Files by descriptor: durability, writing of many buffers at once, copying inside the kernel.

All functions raise OSError as the system gives it (EINTR apart). Offsets and sizes are bytes.
Where the system has no positioned reads and writes (Windows) the file's own position is moved: then only one
thread at a time may use a descriptor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovideo.platform import _sync

if TYPE_CHECKING:
    from typing_extensions import Buffer

CHUNK_BYTES = 1 << 20
"""Piece of the portable copy."""

BLOCK_BYTES = 4096
"""What direct writes are aligned to: as coarse as any disk wants it."""

CANNOT_COPY = frozenset(
    getattr(errno, name)
    for name in ("EXDEV", "EINVAL", "ENOSYS", "EOPNOTSUPP", "ENOTSUP", "ENOTTY")
    if hasattr(errno, name)
)
"""Errors of the kernel copy after which reading and writing can still work (another file system, say)."""


def _call(name: str) -> Callable[..., Any] | None:
    """A function of os that not every system has."""
    return getattr(os, name, None)


def fdatasync(fd: int) -> None:
    """Make the file's data, and the metadata needed to read it, durable.

    After an error nothing is known about what was written since the last success, and trying again proves
    nothing: the system may have marked the pages clean.
    """
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)  # fsync leaves the data in the drive's cache there
        return
    call = _call("fdatasync") or os.fsync
    call(fd)


def fdatasync_all(fds: Sequence[int]) -> list[OSError | None]:
    """As fdatasync for each, one after the other: None, or the error; one call, whatever other threads do."""
    if _sync.AVAILABLE:
        return [OSError(code, os.strerror(code)) if code else None for code in _sync.fdatasync_all(fds)]
    return sync_each(fdatasync, fds)


def sync_each(sync: Callable[[int], None], fds: Sequence[int]) -> list[OSError | None]:
    """Call `sync` for each, one after the other: None, or the error that it raised."""
    found: list[OSError | None] = []
    for fd in fds:
        try:
            sync(fd)
        except OSError as error:
            found.append(error)
        else:
            found.append(None)
    return found


def start_writing(fd: int, offset: int, size: int) -> None:
    """Hint: begin to bring this range to disk, without waiting, so that a sync later finds less to do."""
    if _sync_file_range is not None:
        _sync_file_range(fd, offset, size, _SYNC_FILE_RANGE_WRITE)


def _find_sync_file_range() -> Callable[..., Any] | None:
    if sys.platform != "linux":
        return None
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError):
        return None
    call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    found: Callable[..., Any] = call
    return found


_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = _find_sync_file_range()


def fsync_dir(path: Path) -> None:
    """Make creations, renames and removals in a folder durable; nothing where folders cannot be synced."""
    if os.name == "nt":
        return
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_at(fd: int, buffers: Sequence[Buffer], offset: int) -> int:
    """Write all buffers one behind the other at `offset`; returns the number of bytes, which is all of them.

    On an error a part may have been written.
    """
    views = [view for view in (memoryview(buffer).cast("B") for buffer in buffers) if view.nbytes]
    write = _call("pwritev")
    most = _most_buffers() if write else 1
    start, done = 0, 0
    while start < len(views):
        if write is not None:
            count = write(fd, views[start : start + most], offset + done)
        else:
            os.lseek(fd, offset + done, os.SEEK_SET)
            count = os.write(fd, views[start])
        done += count
        while start < len(views) and count >= views[start].nbytes:
            count -= views[start].nbytes
            start += 1
        if count:
            views[start] = views[start][count:]
    return done


def write_around_cache(fd: int, buffer: Buffer, offset: int) -> int:
    """Write a buffer, whole blocks of it past the page cache where the system can; the number of bytes.

    For large buffers: the write waits for the disk. A buffer lies right when its bytes for the beginning of a
    block of the file are at the beginning of one in memory; others take the usual way. Only one thread at a
    time may write to a descriptor.
    """
    view = memoryview(buffer).cast("B")
    first = -offset % BLOCK_BYTES
    end = first + (len(view) - first) // BLOCK_BYTES * BLOCK_BYTES
    if end <= first or (_address(view) + first) % BLOCK_BYTES or not _direct(fd, on=True):
        return write_at(fd, [view], offset)
    try:
        write_at(fd, [view[first:end]], offset + first)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that takes the flag and not the write
            raise
        first = end = 0
    finally:
        _direct(fd, on=False)
    write_at(fd, [view[:first]], offset)
    write_at(fd, [view[end:]], offset + end)
    return len(view)


def _address(view: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if not view.readonly else 1


def _direct(fd: int, *, on: bool) -> bool:
    """Whether writes now go past the page cache as wanted."""
    if not sys.platform.startswith("linux"):
        return not on
    import fcntl

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_DIRECT if on else flags & ~os.O_DIRECT)
    except OSError:
        return False
    return True


@cache
def _most_buffers() -> int:
    """Buffers that one call may take."""
    try:
        limit = os.sysconf("SC_IOV_MAX")
    except (AttributeError, OSError, ValueError):
        return 16
    return limit if limit > 0 else 16


def read_at(fd: int, size: int, offset: int) -> bytes:
    """Up to `size` bytes at `offset`; fewer only at the end of the file."""
    read = _call("pread")
    parts: list[bytes] = []
    while size > 0:
        if read is not None:
            part = read(fd, size, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            part = os.read(fd, size)
        if not part:
            break
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_range(path: Path, offset: int, size: int) -> bytes:
    """Bytes of a file, as far as they are there. OSError where it cannot be read.

    Read, not mapped: a file that shrinks or a failing disk is an error, not the end of the process.
    """
    with path.open("rb", buffering=0) as file:
        return read_at(file.fileno(), size, offset)


def copy_file_range(source: int, source_offset: int, target: int, target_offset: int, size: int) -> int:
    """Copy `size` bytes from one file to another; inside the kernel, or by reference, where that is possible.

    Returns the bytes copied: fewer than `size` only when the source ends before. The ranges must not overlap.
    """
    done = 0
    copy = _call("copy_file_range")
    while copy is not None and done < size:
        try:
            count = copy(source, target, size - done, source_offset + done, target_offset + done)
        except OSError as error:
            if error.errno not in CANNOT_COPY:
                raise
            break
        if count == 0:
            # Some kernels also say 0 for files whose data they cannot copy; a read below tells which it is.
            break
        done += count
    while done < size:
        chunk = read_at(source, min(CHUNK_BYTES, size - done), source_offset + done)
        if not chunk:
            break
        write_at(target, [chunk], target_offset + done)
        done += len(chunk)
    return done


def discard_cached(fd: int, offset: int, size: int) -> None:
    """Hint: this range, which is durable, need not stay in memory."""
    call = _call("posix_fadvise")
    if call is not None:
        call(fd, offset, size, os.POSIX_FADV_DONTNEED)


def read_in_order(fd: int) -> None:
    """Hint: the file will be read from front to back."""
    call = _call("posix_fadvise")
    if call is not None:
        call(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)


_FICLONERANGE = 0x4020940D


def share_blocks(source: int, source_offset: int, target: int, target_offset: int, size: int) -> bool:
    """Let a range of a file refer to the blocks of another one; whether the file system could.

    All numbers are multiples of its block size. OSError only for a disk that fails or is full.
    """
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONERANGE, struct.pack("qQQQ", source, source_offset, size, target_offset))
    except OSError as error:
        if error.errno not in CANNOT_COPY:
            raise
        return False
    return True
