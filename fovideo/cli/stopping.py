"""Clean stop of a command: the first SIGINT or SIGTERM asks, the second one insists."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def stop_on_signal(
    wake: threading.Event | None = None, *, then: Callable[[], None] | None = None
) -> Iterator[threading.Event]:
    """An event that the first SIGINT or SIGTERM sets; the second one acts as it would without us.

    wake: another event to set then, for who waits for more than this. then: called then, by a thread.
    """
    stop = threading.Event()
    before: dict[int, Any] = {}

    def asked(number: int, frame: FrameType | None) -> None:
        stop.set()
        if wake is not None:
            wake.set()
        if then is not None:
            # Not here: a handler interrupts whatever holds the locks that it needs.
            threading.Thread(target=then, name="stop", daemon=True).start()
        signal.signal(number, before[number])

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, asked)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
