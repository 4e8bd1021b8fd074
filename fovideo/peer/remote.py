"""RemoteStore: the timeline of a running fovideo process, over HTTP. Keeps nothing but immutable tracks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import httpx
import msgspec

from fovideo.errors import NoSuchStream, PeerError
from fovideo.media.codec import Track
from fovideo.peer.connection import Connection, Unanswered
from fovideo.peer.credentials import Credentials
from fovideo.peer.health import Health
from fovideo.peer.wire import GopPage, Settled, StretchHead, chunks, encode_head
from fovideo.store import CheckReport
from fovideo.timeline.endpoint import Inserted, Stretch
from fovideo.timeline.values import STREAM_NAME, Gop, Loss, Provenance, StreamInfo

T = TypeVar("T")

CHECK_TIMEOUT = httpx.Timeout(None, connect=3.0)
"""A check reads every byte of a store, which may be terabytes."""

INSERT_TIMEOUT = httpx.Timeout(600.0, connect=3.0)
"""An insertion answers when it is durable."""


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
        head = StretchHead.of(stretch)
        prefix = encode_head(head)

        def body() -> Iterator[bytes]:
            yield prefix
            for part in stretch.parts:
                yield from chunks(part)

        answer = self._connection.post(
            f"{self._path(stretch.stream)}/stretches",
            body(),
            headers={"Content-Length": str(len(prefix) + sum(head.sizes))},
            timeout=INSERT_TIMEOUT,
        )
        return self._decode(answer, Inserted)

    def settle(self, stream: str, gops: Iterable[int]) -> None:
        content = msgspec.msgpack.encode(Settled(list(gops)))
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
        try:
            return msgspec.msgpack.decode(answer.content, type=kind)
        except msgspec.MsgspecError as error:
            raise self._unreadable(error) from None

    def _json(self, answer: httpx.Response, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> PeerError:
        return PeerError(
            f"the answer cannot be read: {error}",
            where=self.location,
            hint="is it a fovideo server of this version?",
        )
