"""Memory for what is not durable yet is bounded for all cameras together, and what it costs is told."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.camera import CameraConfig
from fovideo.record import Recorder
from fovideo.record.haste import Haste
from fovideo.record.memory import LEAST_BYTES, shares
from fovideo.store import Store
from fovideo.times import NS_PER_S


@given(
    wanted=st.dictionaries(st.text(max_size=4), st.integers(1 << 16, 1 << 30), max_size=20),
    memory_bytes=st.integers(0, 1 << 34),
)
def test_shares_keep_the_bound_and_the_ratio(wanted: dict[str, int], memory_bytes: int) -> None:
    given_bytes = shares(wanted, memory_bytes)
    assert given_bytes.keys() == wanted.keys()
    assert all(min(wanted[name], LEAST_BYTES) <= given_bytes[name] <= wanted[name] for name in wanted)
    if not memory_bytes or sum(wanted.values()) <= memory_bytes:
        assert given_bytes == wanted
    else:
        proportional = [size for size in given_bytes.values() if size > LEAST_BYTES]
        assert sum(proportional) <= memory_bytes
        ratio = memory_bytes / sum(wanted.values())
        for name, size in given_bytes.items():
            assert size <= max(wanted[name] * ratio, min(wanted[name], LEAST_BYTES)) + 1


def test_cameras_of_a_recorder_share_its_memory(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", write=True, create=True) as store:
        recorder = Recorder(store, name="rec", memory_bytes=64 << 20)
        for name in ("a", "b", "c"):
            recorder.add(CameraConfig(name=name, url="rtsp://127.0.0.1:1/", ring_bytes=32 << 20))
        allowed = [status.ring_bytes for status in recorder.status().values()]
        assert allowed == [(64 << 20) // 3] * 3
        assert recorder.remove("c")
        assert [status.ring_bytes for status in recorder.status().values()] == [32 << 20] * 2
        recorder.close()


class _Lane:
    dropped_frames = 0
    allowed_bytes = 5_000_000


def test_falling_behind_is_said_once_and_losses_from_time_to_time(caplog: pytest.LogCaptureFixture) -> None:
    lane, haste = _Lane(), Haste("rec", NS_PER_S)
    lanes = [lane, lane]
    caplog.set_level(logging.INFO, "fovideo.record.haste")

    def took(seconds: float, at_s: int) -> list[str]:
        caplog.clear()
        haste.took(round(seconds * NS_PER_S), at_s * NS_PER_S, lanes)  # type: ignore[arg-type]
        return [record.getMessage() for record in caplog.records if record.name == "fovideo.record.haste"]

    assert took(1.5, 100) == []
    (begin,) = took(3, 103)
    assert "too slow" in begin
    assert "3.0 s" in begin
    assert took(3, 106) == []
    lane.dropped_frames = 10
    (lost,) = took(3, 109)
    assert "20 frames are lost" in lost
    assert "10.0 MB" in lost
    lane.dropped_frames = 12
    assert took(3, 112) == []
    (lost,) = took(3, 120)
    assert "24 frames are lost" in lost
    (over,) = took(0.3, 121)
    assert "keeps up again" in over
    assert "24 frames" in over
    assert took(0.3, 122) == []
