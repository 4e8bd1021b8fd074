"""A webhook: notices POSTed as JSON, in order, by a thread of its own; nobody waits for it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Collection
from typing import Any

import httpx
import msgspec

from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

QUEUE = 1000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
GIVE_UP = (400, 401, 403, 404, 405, 410, 413, 415, 422)
"""Answers after which the same notice will fare no better: it is dropped, and counted."""


class WebhookStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Notices: delivered; dropped: never will be; waiting. failures: of attempts.

    error: of the last attempt, "" if it worked.
    """

    delivered: int
    dropped: int
    waiting: int
    failures: int
    error: str


class Webhook:
    """From start() to stop(). When the queue is full the oldest notice is dropped."""

    def __init__(
        self,
        name: str,
        url: str,
        token: str = "",
        *,
        events: Collection[str] = (),
        timeout_ns: int = 5 * NS_PER_S,
        queue: int = QUEUE,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        """name: for logs and metrics; the URL may hold a secret and is never shown. events: () = all."""
        self.name = name
        self._url, self._events, self._most, self._first_pause_s = (
            url,
            frozenset(events),
            queue,
            first_pause_s,
        )
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        self._client = httpx.Client(headers=headers, timeout=timeout_ns / NS_PER_S, trust_env=False)
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._stopping = False
        self._delivered = self._dropped = self._failures = 0
        self._error = ""
        self._thread = threading.Thread(target=self._run, name=f"webhook-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Try what is waiting once more, for a moment; the rest is dropped."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        self._client.close()

    def put(self, event: str, payload: dict[str, Any]) -> None:
        """Send it some time. Returns at once."""
        if self._events and event not in self._events:
            return
        body = msgspec.json.encode(payload)
        with self._changed:
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append(body)
            self._changed.notify_all()

    def status(self) -> WebhookStatus:
        with self._changed:
            return WebhookStatus(
                delivered=self._delivered,
                dropped=self._dropped,
                waiting=len(self._waiting),
                failures=self._failures,
                error=self._error,
            )

    def _run(self) -> None:
        pause_s = 0.0
        while True:
            with self._changed:
                if pause_s:
                    self._changed.wait_for(lambda: self._stopping, pause_s)
                else:
                    self._changed.wait_for(lambda: self._stopping or self._waiting)
                last = self._stopping
                body = self._waiting[0] if self._waiting else None
            if body is None:
                if last:
                    return
                pause_s = 0.0
                continue
            error, final = self._post(body)
            with self._changed:
                if error and not self._error:
                    _log.warning("webhook %s: %s", self.name, error)
                self._error = error
                self._failures += bool(error)
                if not error or final:
                    self._delivered += not error
                    self._dropped += bool(error)
                    if self._waiting and self._waiting[0] is body:
                        self._waiting.popleft()
                    pause_s = 0.0
                elif last:
                    self._dropped += len(self._waiting)
                    self._waiting.clear()
                    return
                else:
                    pause_s = min(pause_s * 2 or self._first_pause_s, LONGEST_PAUSE_S)

    def _post(self, body: bytes) -> tuple[str, bool]:
        """Why it failed, "" if it did not; and whether trying again is of no use."""
        try:
            answer = self._client.post(self._url, content=body)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            return f"not delivered: {type(error).__name__}", False
        if answer.is_success:
            return "", False
        return f"answered {answer.status_code}", answer.status_code in GIVE_UP
