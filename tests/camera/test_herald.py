"""Telling what threads that read have no time to say."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from fovideo.camera.herald import Herald


def write(fd: int, *numbers: int) -> None:
    os.write(fd, b"".join(number.to_bytes(8, sys.byteorder) for number in numbers))


def write_until_refused(fd: int) -> None:
    while True:
        write(fd, *[1 << 40] * 512)


def is_there() -> bool:
    return "camera-herald" in {thread.name for thread in threading.enumerate()}


def test_each_hears_its_own_number() -> None:
    herald = Herald()
    heard = [threading.Event(), threading.Event()]
    (fd, first), (_, second) = (herald.join(event.set) for event in heard)
    write(fd, second)
    assert heard[1].wait(30)
    assert not heard[0].is_set()
    write(fd, first, second)
    assert heard[0].wait(30)
    herald.leave(first)
    herald.leave(second)
    assert not is_there()


def test_an_error_and_a_number_of_nobody_stop_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise LookupError("not now")

    herald, heard = Herald(), threading.Event()
    fd, failing = herald.join(fail)
    _, good = herald.join(heard.set)
    write(fd, failing, 1 << 40, good)
    assert heard.wait(30)
    herald.leave(failing)
    herald.leave(good)
    records = [each for each in caplog.records if each.name == "fovideo.camera.herald"]
    assert [each.getMessage() for each in records] == ["what a camera had to tell was not taken"]


def test_it_begins_anew_after_its_end() -> None:
    herald = Herald()
    for _ in range(3):
        heard = threading.Event()
        fd, number = herald.join(heard.set)
        write(fd, number)
        assert heard.wait(30)
        herald.leave(number)
        assert not is_there()


def test_what_nobody_reads_is_refused_without_waiting() -> None:
    herald, hold, busy = Herald(), threading.Event(), threading.Event()

    def listen() -> None:
        busy.set()
        hold.wait(60)

    fd, number = herald.join(listen)
    write(fd, number)
    assert busy.wait(30)
    with pytest.raises(BlockingIOError):
        write_until_refused(fd)
    hold.set()
    herald.leave(number)
