"""Flow: a peer that sends a few bytes now and then is as good as silent, and would keep a command waiting."""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

WINDOW_S = 30.0
LEAST_BYTES = 30 << 10
"""An answer of which less than that comes within WINDOW_S of waiting for it is given up."""


class TooSlow(TimeoutError):
    """An answer has begun, and hardly goes on."""


class Flow:
    """Of one answer. clock_s: monotonic; handed in by tests."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._began, self._waited_s, self._got_bytes = False, 0.0, 0

    def waiting(self) -> float:
        """What `took` wants to know, before waiting for a piece."""
        return self._clock_s()

    def took(self, since_s: float, size_bytes: int) -> None:
        """A piece came. Raises TooSlow. How long the first one took is for the timeout of the connection."""
        if not self._began:
            self._began = True
            return
        self._waited_s += self._clock_s() - since_s
        self._got_bytes += size_bytes
        if self._waited_s >= WINDOW_S:
            if self._got_bytes < LEAST_BYTES:
                raise TooSlow
            self._waited_s, self._got_bytes = 0.0, 0


class FlowingAnswer(http.client.HTTPResponse):
    """For http.client. Raises TooSlow where it is read."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fp = io.BufferedReader(_FlowingSocket(self.fp.detach()))


class _FlowingSocket(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw, self._flow = raw, Flow()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        since_s = self._flow.waiting()
        count: int | None = self._raw.readinto(buffer)
        if count:
            self._flow.took(since_s, count)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _FlowingStream(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream) -> None:
        self._stream, self._flow = stream, Flow()

    def __iter__(self) -> Iterator[bytes]:
        since_s = self._flow.waiting()
        for piece in self._stream:
            self._flow.took(since_s, len(piece))
            yield piece
            since_s = self._flow.waiting()

    def close(self) -> None:
        self._stream.close()


def watch_flow(answer: httpx.Response) -> None:
    """For httpx, as a hook: its body raises TooSlow where it is read."""
    if isinstance(answer.stream, httpx.SyncByteStream):
        answer.stream = _FlowingStream(answer.stream)
