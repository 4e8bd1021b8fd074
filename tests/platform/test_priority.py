"""A thread that reads runs first, where that is allowed, and no other thread does."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from fovideo.platform import run_before_others


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_only_the_thread_that_asks() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    found = []

    def ask() -> None:
        allowed = run_before_others()
        found.append((allowed, os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    ((allowed, nice),) = found
    assert nice == (-10 if allowed else before)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_what_is_not_allowed_is_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, who: int, priority: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse, raising=False)
    assert not run_before_others()
