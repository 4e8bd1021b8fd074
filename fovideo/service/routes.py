"""The timeline of a process over HTTP: one route for each method of the Timeline interface."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from fovideo.decoding import from_msgpack
from fovideo.errors import NothingThere, SegmentDamaged, StoreError, UsageError
from fovideo.peer.wire import (
    MSGPACK,
    PAGE_ROWS,
    GopPage,
    Settled,
    check_seal,
    chunks,
    cut_out,
    decode_serials,
    joined,
    size_of,
)
from fovideo.service.incoming import receive_stretch
from fovideo.service.raw import SentByKernel, usable
from fovideo.store import Store
from fovideo.timeline.endpoint import FileRange, Timeline
from fovideo.timeline.values import Gop

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_COMPRESS_FROM_BYTES = 1024
_ZSTD_LEVEL = 3
RAW_BYTES = 1 << 20
"""From here on an answer is sent past the HTTP library."""

BYTES = "application/octet-stream"


def timeline_routes(timeline: Timeline, spool: Path | None) -> list[Route]:
    """Routes below /v1. Whatever may wait for a disk runs in a worker thread."""
    api = _Api(timeline, spool)
    return [
        Route("/check", api.check, methods=["POST"]),
        Route("/streams", api.streams),
        Route("/streams/{stream}/data", api.rows_data),
        Route("/streams/{stream}/gops", api.gops),
        Route("/streams/{stream}/gops/{serial:int}/data", api.data),
        Route("/streams/{stream}/gops/{serial:int}/tracks", api.tracks),
        Route("/streams/{stream}/provenances", api.provenances),
        Route("/streams/{stream}/losses", api.losses),
        Route("/streams/{stream}/stretches", api.insert, methods=["POST"]),
        Route("/streams/{stream}/settle", api.settle, methods=["POST"]),
    ]


class _Api:
    def __init__(self, timeline: Timeline, spool: Path | None) -> None:
        self._timeline, self._spool = timeline, spool

    async def check(self, request: Request) -> Response:
        store = self._timeline
        if not isinstance(store, Store):
            raise UsageError("what is served here is not a store that can be checked")
        return await _answer(request, store.check)

    async def streams(self, request: Request) -> Response:
        return await _answer(request, self._timeline.streams)

    async def gops(self, request: Request) -> Response:
        stream, from_ns, to_ns = _stream(request), _number(request, "from_ns"), _number(request, "to_ns")
        after_ns, after = _number(request, "after_ns"), _number(request, "after")

        def page() -> GopPage:
            if after_ns is None or after is None:
                rows = list(self._timeline.gops(stream, from_ns, to_ns))
            else:
                start_ns = after_ns if from_ns is None else max(from_ns, after_ns)
                rows = [
                    row
                    for row in self._timeline.gops(stream, start_ns, to_ns)
                    if (row.start_ns, row.serial) > (after_ns, after)
                ]
            return GopPage(rows[:PAGE_ROWS], len(rows) > PAGE_ROWS)

        return await _answer(request, page)

    async def provenances(self, request: Request) -> Response:
        stream = _stream(request)
        return await _answer(request, lambda: self._timeline.provenances(stream))

    async def losses(self, request: Request) -> Response:
        stream, from_ns, to_ns = _stream(request), _number(request, "from_ns"), _number(request, "to_ns")
        return await _answer(request, lambda: self._timeline.losses(stream, from_ns, to_ns))

    async def tracks(self, request: Request) -> Response:
        stream, serial, at_ns = _stream(request), _serial(request), _number(request, "at_ns")
        return await _answer(request, lambda: self._timeline.tracks(stream, self._row(stream, serial, at_ns)))

    async def data(self, request: Request) -> Response:
        """The bytes of a row, or a range of them."""
        stream, serial, at_ns = _stream(request), _serial(request), _number(request, "at_ns")

        def find() -> bytes | FileRange:
            return self._timeline.read(stream, self._row(stream, serial, at_ns))

        return await _send(request, [await run_in_threadpool(find)])

    async def rows_data(self, request: Request) -> Response:
        """The bytes of many rows, one behind the other, or a range of them."""
        stream, wanted = _stream(request), decode_serials(request.query_params.get("rows", ""))
        from_ns, to_ns = _number(request, "from_ns"), _number(request, "to_ns")

        def find() -> list[bytes | FileRange]:
            there = {row.serial: row for row in self._timeline.gops(stream, from_ns, to_ns)}
            parts: list[bytes | FileRange] = []
            for run in wanted:
                for serial in range(run.first, run.last + 1):
                    row = there.get(serial) or self._row(stream, serial, None)
                    parts.append(self._timeline.read(stream, row))
            return joined(parts)

        return await _send(request, await run_in_threadpool(find))

    async def insert(self, request: Request) -> Response:
        stream = _stream(request)
        async with receive_stretch(stream, request, self._spool) as stretch:
            return await _answer(request, lambda: self._timeline.insert(stretch))

    async def settle(self, request: Request) -> Response:
        stream = _stream(request)
        try:
            settled = from_msgpack(await request.body(), Settled)
        except msgspec.MsgspecError as error:
            raise UsageError(f"the body cannot be read: {error}") from None
        check_seal(settled, stream)
        return await _answer(request, lambda: self._timeline.settle(stream, settled.gops))

    def _row(self, stream: str, serial: int, at_ns: int | None) -> Gop:
        """The row of that serial. at_ns: where its client saw it; else it is looked for everywhere."""
        if (find := getattr(self._timeline, "find", None)) is not None and (row := find(stream, serial)):
            found: Gop = row
            return found
        windows = [(None, None)] if at_ns is None else [(at_ns, at_ns + 1), (None, None)]
        for from_ns, to_ns in windows:
            for row in self._timeline.gops(stream, from_ns, to_ns):
                if row.serial == serial:
                    return row
        raise NothingThere(f"no row {serial}", where=stream, hint="it may have expired")


def _stream(request: Request) -> str:
    name: str = request.path_params["stream"]
    return name


def _serial(request: Request) -> int:
    serial: int = request.path_params["serial"]
    return serial


def _number(request: Request, key: str) -> int | None:
    text = request.query_params.get(key)
    if text is None:
        return None
    if not re.fullmatch(r"-?\d{1,19}", text):
        raise UsageError(f"{key} is no whole number: {text[:40]!r}")
    return int(text)


def _wanted(header: str | None, size: int) -> tuple[int, int]:
    """First and last byte that a Range header asks for."""
    if header is None:
        return 0, size - 1
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        raise UsageError(f"not a range: {header[:40]!r}", hint="bytes=FIRST-LAST")
    first, last = int(match[1]), min(int(match[2] or size), size - 1)
    if first > last:
        raise UsageError(f"the range begins at {first}, the row has {size} bytes")
    return first, last


async def _send(request: Request, parts: list[bytes | FileRange]) -> Response:
    """The bytes of the parts, or the range of them that the request asks for."""
    size = sum(size_of(part) for part in parts)
    first, last = _wanted(request.headers.get("range"), size)
    headers = {"Content-Length": str(last + 1 - first), "Accept-Ranges": "bytes"}
    status = 200
    if "range" in request.headers:
        status, headers["Content-Range"] = 206, f"bytes {first}-{last}/{size}"
    ranges = [part for part in cut_out(parts, first, last + 1) if isinstance(part, FileRange)]
    # Looked at ahead, so that footage which is gone or cannot be read is an error and not a cut answer.
    await run_in_threadpool(_require_files, ranges)
    if usable(request.scope) and sum(map(size_of, ranges)) == last + 1 - first >= RAW_BYTES:
        return SentByKernel(ranges, status, headers, BYTES)
    pieces = itertools.chain.from_iterable(map(chunks, cut_out(parts, first, last + 1)))
    head = await run_in_threadpool(next, pieces, b"")
    return StreamingResponse(itertools.chain([head], pieces), status, headers=headers, media_type=BYTES)


def _require_files(ranges: list[FileRange]) -> None:
    ends: dict[str, int] = {}
    for each in ranges:
        ends[each.path] = max(ends.get(each.path, 0), each.offset + each.size_bytes)
    for path, end in ends.items():
        try:
            size_bytes = Path(path).stat().st_size
        except FileNotFoundError:
            raise NothingThere("the footage has expired", where=path) from None
        except OSError as error:
            raise StoreError(f"cannot be read: {error.strerror}", where=path) from None
        if size_bytes < end:
            raise SegmentDamaged("the file is shorter than its index says", where=path)


async def _answer(request: Request, find: Callable[[], Any]) -> Response:
    """What `find` returns, as msgpack for those who ask for it and JSON for all others."""
    binary = MSGPACK in request.headers.get("accept", "")
    compress = "zstd" in request.headers.get("accept-encoding", "")

    def body() -> tuple[bytes, bool]:
        value = find()
        data = msgspec.msgpack.encode(value) if binary else msgspec.json.encode(value)
        if not compress or (not binary and len(data) < _COMPRESS_FROM_BYTES):
            return data, False
        # With a checksum, by which a peer sees that it arrived as it was sent.
        return zstandard.ZstdCompressor(_ZSTD_LEVEL, write_checksum=True).compress(data), True

    data, compressed = await run_in_threadpool(body)
    headers = {"Content-Encoding": "zstd"} if compressed else {}
    return Response(data, headers=headers, media_type=MSGPACK if binary else "application/json")
