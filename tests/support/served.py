"""A store with footage, served over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from footage import VIDEO, session, video

from fovideo.peer import CameraHealth, Health, RemoteStore, StoreHealth
from fovideo.service.app import make_app
from fovideo.service.http import HttpServer
from fovideo.store import Store, StoreOptions
from fovideo.timeline.endpoint import FileRange, Stretch, Timeline
from fovideo.timeline.values import Gop
from fovideo.times import NS_PER_S

TOKEN = "open sesame"


def record(
    store: Store, first: int = 0, count: int = 200, *, stream: str = "gate", **options: object
) -> None:
    """Frames first.. of a camera, in one session that ends."""
    pending = bool(options.pop("pending", False))
    with store.writer(stream, session(first + 1), pending=pending) as writer:
        writer.set_format([VIDEO])
        writer.append(*video(first, count, **options), epoch=0)


def open_store(path: Path) -> Store:
    options = StoreOptions(segment_duration_ns=4 * NS_PER_S)
    return Store.open(path, write=True, create=True, options=options)


def health_of(store: Store) -> Health:
    return Health(
        name="rec-1",
        role="server",
        instance="i1",
        state="recording",
        now_ns=1_790_000_000_000_000_000,
        store=StoreHealth(id=store.identity, commits=3),
        cameras={"gate": CameraHealth(state="live", durable_to_ns=1_790_000_001_500_000_000, frames=38)},
    )


@contextmanager
def served(timeline: Timeline, *, token: str = "", spool: Path | None = None) -> Iterator[HttpServer]:
    http = HttpServer(
        make_app(timeline, lambda: health_of(timeline), token=token, spool=spool), "127.0.0.1", 0
    )
    http.start()
    try:
        yield http
    finally:
        http.stop()


@contextmanager
def remote(url: str, token: str = "", **options: object) -> Iterator[RemoteStore]:
    store = RemoteStore(url, token, **options)
    try:
        yield store
    finally:
        store.close()


def bytes_of(part: bytes | FileRange) -> bytes:
    if isinstance(part, bytes):
        return part
    with Path(part.path).open("rb") as file:
        file.seek(part.offset)
        return file.read(part.size_bytes)


def stretch_of(source: Timeline, gops: list[Gop], *, generation: int = -1, as_bytes: bool = False) -> Stretch:
    """Whole rows of a store as one stretch for another."""
    first = gops[0]
    parts = [source.read(first.stream, gop) for gop in gops]
    return Stretch(
        stream=first.stream,
        tracks=source.tracks(first.stream, first),
        provenance=msgspec.structs.replace(
            source.provenances(first.stream)[first.provenance], inserted_from=source.identity
        ),
        generation=generation,
        shift_ns=0,
        epoch=0,
        parts=tuple(bytes_of(part) if as_bytes else part for part in parts),
    )
