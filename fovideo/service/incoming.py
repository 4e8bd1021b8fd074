"""Receives the body of an insertion: small ones stay in memory, large ones wait in a file."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from typing import IO

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from fovideo.errors import FovideoError, PeerError, StoreError, UsageError
from fovideo.peer.wire import StretchHead, check_seal, decode_head, head_length
from fovideo.service.raw import receive_rest, usable
from fovideo.timeline.endpoint import SPOOL_PREFIX, SPOOL_ROOM_BYTES, FileRange, Stretch

IN_MEMORY_BYTES = 8 << 20
LARGEST_BYTES = 4 << 30


@asynccontextmanager
async def receive_stretch(stream: str, request: Request, spool: Path | None) -> AsyncIterator[Stretch]:
    """The stretch in a body, valid inside the block. Raises PeerError or UsageError when it is none."""
    source = _Source(request.stream())
    head = await source.head()
    check_seal(head, stream)
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
        if usable(request.scope) and request.headers.get("content-length") == str(source.head_bytes + total):
            with _in_words(file):
                await receive_rest(request, source.take(), file.fileno(), SPOOL_ROOM_BYTES, total)
        else:
            await run_in_threadpool(file.seek, SPOOL_ROOM_BYTES)
            async for piece in source.rest(total):
                await run_in_threadpool(_write, file, piece)
            await run_in_threadpool(file.flush)
        parts = [FileRange(file.name, SPOOL_ROOM_BYTES + at, size, given=True) for at, size in places]
        yield head.stretch(stream, tuple(parts))
    finally:
        await run_in_threadpool(_discard, file)


def clean_spool(spool: Path) -> None:
    """Remove what a killed process left in its spool folder."""
    with contextlib.suppress(OSError):
        for path in spool.glob(f"{SPOOL_PREFIX}*"):
            path.unlink(missing_ok=True)


class _Source:
    """The body, first its head, then the rest."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self._held = bytearray()
        self.head_bytes = 0

    async def head(self) -> StretchHead:
        length = None
        while length is None or len(self._held) < length:
            piece = await anext(self._body, b"")
            if not piece:
                raise PeerError("the body ends inside its head")
            self._held += piece
            length = length or head_length(self._held)
        head = decode_head(self._held[:length])
        self.head_bytes = length
        del self._held[:length]
        return head

    def take(self) -> bytes:
        """What came behind the head so far."""
        held, self._held = bytes(self._held), bytearray()
        return held

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
        return tempfile.NamedTemporaryFile(prefix=SPOOL_PREFIX, dir=spool, delete=False)
    except OSError as error:
        raise StoreError(f"cannot take an insertion: {error.strerror}", where=str(spool or "")) from None


def _write(file: IO[bytes], piece: bytes) -> None:
    with _in_words(file):
        file.write(piece)


@contextlib.contextmanager
def _in_words(file: IO[bytes]) -> Iterator[None]:
    try:
        yield
    except FovideoError:
        raise
    except TimeoutError as error:
        raise PeerError(f"the body does not come: {error}") from None
    except OSError as error:
        raise StoreError(f"cannot take an insertion: {error.strerror}", where=file.name) from None


def _discard(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        Path(file.name).unlink()
