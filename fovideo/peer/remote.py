"""RemoteStore: the timeline of a running fovideo process, over HTTP. Keeps nothing but immutable tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from fovideo.decoding import from_json, from_msgpack
from fovideo.errors import NoSuchStream, PeerError, StoreError
from fovideo.media.codec import Track
from fovideo.peer.connection import Connection, Unanswered
from fovideo.peer.credentials import Credentials
from fovideo.peer.health import Health
from fovideo.peer.wire import (
    GopPage,
    Settled,
    StretchHead,
    chunks,
    encode_head,
    encode_serials,
    joined,
    sealed,
)
from fovideo.platform import start_writing, write_at
from fovideo.store import CheckReport
from fovideo.timeline.endpoint import SPOOL_ROOM_BYTES, FileRange, Inserted, Stretch
from fovideo.timeline.values import STREAM_NAME, Gop, Loss, Provenance, StreamInfo

T = TypeVar("T")

CHECK_TIMEOUT = httpx.Timeout(None, connect=3.0)
"""A check reads every byte of a store, which may be terabytes."""

INSERT_SILENCE_S = 600.0
INSERT_TIMEOUT = httpx.Timeout(INSERT_SILENCE_S, connect=3.0)
"""An insertion answers when it is durable."""


_BEGIN_BYTES = 8 << 20  # fetched, before the disk begins with them
BULK_BYTES = 1 << 20
"""From here on an insertion is worth a connection of its own."""


class RemoteStore:
    """A Timeline. Thread-safe. Connects when first used.

    Raises, besides what a store raises: Unanswered, PeerUnauthorized, PeerError. What only reads is repeated
    when the connection is lost; an insertion is not, since it may have happened: plan again.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        credentials: Credentials | None = None,
        connection: Connection | None = None,
    ) -> None:
        self._connection = connection or Connection(url, token, credentials=credentials)
        self._identity = ""
        self._segment_tracks: dict[tuple[str, int], tuple[Track, ...]] = {}

    @property
    def identity(self) -> str:
        """Id of the store behind the URL; asked for once."""
        if not self._identity:
            self._identity = self.health().store.id
        return self._identity

    @property
    def location(self) -> str:
        return self._connection.url

    def health(self) -> Health:
        """What the process says of itself."""
        return self._json(self._connection.get("/health"), Health)

    @property
    def unreachable(self) -> tuple[str, ...]:
        """See fovideo.timeline.endpoint.unreachable."""
        try:
            return self.health().unreachable
        except PeerError:
            return ()

    def write_latency_ns(self) -> int:
        """How long the peer's recorder waits for its disk now (StoreHealth.commit_ns)."""
        return self.health().store.commit_ns

    def streams(self) -> list[StreamInfo]:
        return self._decode(self._connection.get("/streams"), list[StreamInfo])

    def gops(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Gop]:
        """As Timeline.gops; fetched page by page."""
        window: dict[str, Any] = {"from_ns": from_ns, "to_ns": to_ns}
        rows: list[Gop] = []
        while True:
            page = self._decode(self._connection.get(f"{self._path(stream)}/gops", **window), GopPage)
            rows += page.gops
            if not page.more:
                return rows
            window |= {"after_ns": rows[-1].start_ns, "after": rows[-1].serial}

    def provenances(self, stream: str) -> dict[int, Provenance]:
        answer = self._connection.get(f"{self._path(stream)}/provenances")
        return self._decode(answer, dict[int, Provenance])

    def tracks(self, stream: str, gop: Gop) -> tuple[Track, ...]:
        """As Timeline.tracks; those of a segment never change, and are asked for once."""
        known = self._segment_tracks.get((stream, gop.segment))
        if known is None:
            answer = self._connection.get(
                f"{self._path(stream)}/gops/{gop.serial}/tracks", at_ns=gop.start_ns
            )
            known = self._segment_tracks[stream, gop.segment] = self._decode(answer, tuple[Track, ...])
        return known

    def read(self, stream: str, gop: Gop) -> bytes:
        """As Timeline.read; a cut connection is resumed where it was cut."""
        data = bytearray()
        tries = 4
        while True:
            before = len(data)
            try:
                for piece in self._pieces(stream, gop, before):
                    data += piece
                break
            except Unanswered as error:
                tries = 4 if len(data) > before else tries - 1
                if not error.cut or not tries:
                    raise
        if len(data) != gop.size_bytes:
            raise PeerError(f"sent {len(data)} bytes of a row of {gop.size_bytes}", where=self.location)
        return bytes(data)

    def _pieces(self, stream: str, gop: Gop, start: int) -> Iterator[bytes]:
        path = f"{self._path(stream)}/gops/{gop.serial}/data"
        with self._connection.stream(path, start, gop.size_bytes - 1, at_ns=gop.start_ns) as answer:
            if answer.status_code != 206:
                raise PeerError("does not answer a request for a range", where=self.location)
            yield from answer.iter_raw()

    def losses(self, stream: str, from_ns: int | None = None, to_ns: int | None = None) -> list[Loss]:
        answer = self._connection.get(f"{self._path(stream)}/losses", from_ns=from_ns, to_ns=to_ns)
        return self._decode(answer, list[Loss])

    def insert(self, stretch: Stretch) -> Inserted:
        """As Timeline.insert. Never repeated by itself: when the answer is lost, it may have happened."""
        head = sealed(StretchHead.of(stretch), stretch.stream)
        prefix = encode_head(head)

        path, size_bytes = f"{self._path(stretch.stream)}/stretches", len(prefix) + sum(head.sizes)
        if size_bytes >= BULK_BYTES:
            parts = [prefix, *joined(stretch.parts)]
            content = self._connection.upload(path, parts, size_bytes, INSERT_SILENCE_S)
            return self._decoded(content, Inserted)

        def body() -> Iterator[bytes]:
            yield prefix
            for part in stretch.parts:
                yield from chunks(part)

        answer = self._connection.post(
            path, body(), headers={"Content-Length": str(size_bytes)}, timeout=INSERT_TIMEOUT
        )
        return self._decode(answer, Inserted)

    def fetch(self, stream: str, rows: Sequence[Gop], path: Path) -> tuple[FileRange, ...]:
        """As `read` of each row, into a new file that is the caller's to give away; a cut connection is
        resumed.
        """
        total = sum(row.size_bytes for row in rows)
        with path.open("xb", buffering=0) as file:
            spool = _Spool(file.fileno(), total, self.location)
            tries = 4
            while spool.done < total:
                before = spool.done
                try:
                    self._connection.download(
                        f"{self._path(stream)}/data",
                        before,
                        total - 1,
                        spool.take,
                        rows=encode_serials(row.serial for row in rows),
                        from_ns=min(row.start_ns for row in rows),
                        to_ns=max(row.start_ns for row in rows) + 1,
                    )
                    if spool.done < total:
                        raise PeerError(f"sent {spool.done} bytes of rows of {total}", where=self.location)
                except Unanswered as error:
                    tries = 4 if spool.done > before else tries - 1
                    if not error.cut or not tries:
                        raise
        at, parts = SPOOL_ROOM_BYTES, []
        for row in rows:
            parts.append(FileRange(str(path), at, row.size_bytes, given=True))
            at += row.size_bytes
        return tuple(parts)

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        content = msgspec.msgpack.encode(sealed(Settled(list(gops)), stream))
        self._connection.post(f"{self._path(stream)}/settle", content, again=True)

    def check(self) -> CheckReport:
        """Have the peer compare every byte of its store with the index; returns when it is done."""
        return self._decode(
            self._connection.post("/check", b"", again=True, timeout=CHECK_TIMEOUT), CheckReport
        )

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> RemoteStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _path(self, stream: str) -> str:
        if STREAM_NAME.fullmatch(stream) is None:
            raise NoSuchStream(f"no stream {stream!r}", where=self.location)
        return f"/streams/{stream}"

    def _decode(self, answer: httpx.Response, kind: type[T]) -> T:
        return self._decoded(answer.content, kind)

    def _decoded(self, content: bytes, kind: type[T]) -> T:
        try:
            return from_msgpack(content, kind)
        except msgspec.MsgspecError as error:
            raise self._unreadable(error) from None

    def _json(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return from_json(answer.content, kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> PeerError:
        return PeerError(
            f"the answer cannot be read: {error}",
            where=self.location,
            hint="is it a fovideo server of this version?",
        )


class _Spool:
    """Takes bytes into a file, as many as were asked for."""

    def __init__(self, fd: int, size_bytes: int, location: str) -> None:
        self._fd, self._size_bytes, self._location = fd, size_bytes, location
        self.done = self._begun = 0

    def take(self, data: memoryview) -> None:
        if self.done + len(data) > self._size_bytes:
            raise PeerError(f"sends more than the {self._size_bytes} bytes of the rows", where=self._location)
        try:
            write_at(self._fd, [data], SPOOL_ROOM_BYTES + self.done)
        except OSError as error:
            raise StoreError(f"cannot take what is fetched: {error.strerror}") from error
        self.done += len(data)
        if self.done - self._begun >= _BEGIN_BYTES or self.done == self._size_bytes:
            start_writing(self._fd, SPOOL_ROOM_BYTES + self._begun, self.done - self._begun)
            self._begun = self.done
