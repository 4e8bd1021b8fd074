"""Receives the body of an insertion: small ones stay in memory, large ones wait in a file."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool

from fovideo.errors import PeerError, StoreError, UsageError
from fovideo.peer.wire import StretchHead, decode_head, head_length
from fovideo.timeline.endpoint import FileRange, Stretch

IN_MEMORY_BYTES = 8 << 20
LARGEST_BYTES = 4 << 30
PREFIX = "incoming-"


@asynccontextmanager
async def receive_stretch(
    stream: str, body: AsyncIterator[bytes], spool: Path | None
) -> AsyncIterator[Stretch]:
    """The stretch in a body, valid inside the block. Raises PeerError or UsageError when it is none."""
    source = _Source(body)
    head = await source.head()
    total = sum(head.sizes)
    if total > LARGEST_BYTES or any(size < 0 for size in head.sizes):
        raise UsageError(f"a stretch of {total} bytes", hint="insert it in parts of at most 4 GiB")
    offsets = (0, *accumulate(head.sizes))
    places = list(zip(offsets, head.sizes, strict=False))
    if total <= IN_MEMORY_BYTES:
        data = b"".join([piece async for piece in source.rest(total)])
        yield head.stretch(stream, tuple(data[at : at + size] for at, size in places))
        return
    file = await run_in_threadpool(_spool_file, spool)
    try:
        async for piece in source.rest(total):
            await run_in_threadpool(_write, file, piece)
        await run_in_threadpool(file.flush)
        yield head.stretch(stream, tuple(FileRange(file.name, at, size) for at, size in places))
    finally:
        await run_in_threadpool(_discard, file)


def clean_spool(spool: Path) -> None:
    """Remove what a killed process left in its spool folder."""
    with contextlib.suppress(OSError):
        for path in spool.glob(f"{PREFIX}*"):
            path.unlink(missing_ok=True)


class _Source:
    """The body, first its head, then the rest."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._held = bytearray()

    async def head(self) -> StretchHead:
        length = None
        while length is None or len(self._held) < length:
            piece = await anext(self._body, b"")
            if not piece:
                raise PeerError("the body ends inside its head")
            self._held += piece
            length = length or head_length(self._held)
        head = decode_head(self._held[:length])
        del self._held[:length]
        return head

    async def rest(self, total: int) -> AsyncIterator[bytes]:
        """Exactly `total` bytes."""
        left = total - len(self._held)
        if self._held:
            yield bytes(self._held)
        async for piece in self._body:
            left -= len(piece)
            if left < 0:
                break
            if piece:
                yield piece
        if left:
            raise PeerError(f"the body is {abs(left)} bytes too {'long' if left < 0 else 'short'}")


def _spool_file(spool: Path | None) -> IO[bytes]:
    try:
        if spool is not None:
            spool.mkdir(parents=True, exist_ok=True)
        return tempfile.NamedTemporaryFile(prefix=PREFIX, dir=spool, delete=False)
    except OSError as error:
        raise StoreError(f"cannot take an insertion: {error.strerror}", where=str(spool or "")) from None


def _write(file: IO[bytes], piece: bytes) -> None:
    try:
        file.write(piece)
    except OSError as error:
        raise StoreError(f"cannot take an insertion: {error.strerror}", where=file.name) from None


def _discard(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        Path(file.name).unlink()
