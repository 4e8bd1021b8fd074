"""What became of the pulls of a server: their last results, in the store's index."""

from __future__ import annotations

import logging
from collections import deque

import msgspec

from fovideo.decoding import from_json
from fovideo.merge.doing.running import MergeResult, MergeStatus
from fovideo.store import Store

_log = logging.getLogger(__name__)

NOTE = "pulls-ended"
KEPT = 20


class Pulled:
    """The last KEPT results, the oldest first. Durable when `add` returns; not thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._results: deque[MergeResult] = deque(maxlen=KEPT)
        noted = store.journal(NOTE)
        try:
            self._results.extend(from_json(noted or b"[]", list[MergeResult]))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.error("%s: what became of former merges cannot be read: %s", store.location, error)

    def add(self, result: MergeResult) -> None:
        """Raises StoreError if it cannot be written; it is known all the same until the process ends."""
        self._results.append(result)
        self._store.note(NOTE, msgspec.json.encode(list(self._results)))

    def find(self, id: str) -> MergeResult | None:
        return next((each for each in self._results if each.status.id == id), None)

    def statuses(self) -> tuple[MergeStatus, ...]:
        return tuple(each.status for each in self._results)
