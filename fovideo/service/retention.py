"""Calls a store's retention now and then."""

from __future__ import annotations

import logging
import threading
import time

from fovideo.errors import StoreError
from fovideo.store import Store

_log = logging.getLogger(__name__)

INTERVAL_S = 15.0


class Retention:
    """A thread that applies quota and age to a store; none is started when it has neither."""

    def __init__(self, store: Store, *, interval_s: float = INTERVAL_S) -> None:
        self._store, self._interval_s = store, interval_s
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        options = self._store.options
        if options.quota_bytes or options.max_age_ns:
            self._thread = threading.Thread(target=self._run, name="retention", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                done = self._store.expire(time.time_ns())
                if done.segments:
                    _log.info("retention freed %d segments, %d bytes", done.segments, done.size_bytes)
                if done.over_bytes:
                    _log.warning("%s is %d bytes above its quota", self._store.location, done.over_bytes)
            except StoreError as error:
                _log.error("retention failed: %s", error)
            if self._stopping.wait(self._interval_s):
                return
