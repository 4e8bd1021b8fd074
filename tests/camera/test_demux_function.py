"""What a session calls: tracks as it has them, errors as PyAV's own loop raises them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from fovideo.camera._connection import WHY_NOT, Connection
from fovideo.camera.demux import Counters, can_demux, demux
from fovideo.camera.herald import Herald
from fovideo.camera.tracks import source_tracks, streams_of
from fovideo.errors import CameraError, CameraFrozen
from fovideo.replay import make_clip
from fovideo.ring import Kind, Ring
from fovideo.times import NS_PER_S

pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=f"no reading without PyAV: {WHY_NOT}")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mov"
    make_clip(path, width=160, height=96, seconds=1, audio="pcmu")
    return path


def read(path: Path, ring: Ring, **changes: Any) -> Counters:
    with contextlib.closing(Connection()) as container:
        assert can_demux()
        av.error.err_check(container.open(str(path), {}, timeout_ns=20 * NS_PER_S, paused=False))
        counters = Counters()
        arguments: dict[str, Any] = {
            "session": 1,
            "freeze_ns": 0,
            "batch_ns": 0,
            "source": "clip",
            "start": b"what it is",
            "on_live": lambda: changes.get("first", lambda _: None)(container),
            "on_pressure": lambda: None,
            "on_fragment": lambda *_: None,
        }
        arguments |= {name: value for name, value in changes.items() if name != "first"}
        tracks = source_tracks(streams_of(container), audio=True, metadata=True, source="clip")
        demux(container, ring, tracks, counters, **arguments)
        return counters


def test_to_the_end(clip: Path) -> None:
    with Ring(4 << 20) as ring:
        counters = read(clip, ring)
        units = ring.units()
        assert counters.frames == len(units) - 1
        assert units["kind"][0] == Kind.FORMAT
        assert ring.payload(int(units["position"][0]), int(units["size"][0])) == b"what it is"
        assert set(units["track"][1:].tolist()) == {1, 2}


class Deaf(Herald):
    """Hears nothing: the reading thread has to tell what there is to tell itself, at once."""

    def join(self, listener: Callable[[], None]) -> tuple[int, int]:
        return -1, super().join(listener)[1]


def test_interrupted(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fovideo.camera.demux._herald", Deaf())
    with Ring(4 << 20) as ring:
        assert read(clip, ring, first=Connection.interrupt).frames == 1


def test_what_is_told_is_told_before_the_return(clip: Path) -> None:
    told: list[str] = []
    with Ring(1 << 20) as ring:
        ring.push(bytes(600_000))
        read(clip, ring, on_live=lambda: told.append("live"), on_pressure=lambda: told.append("pressure"))
    assert told[0] == "live"
    assert set(told[1:]) == {"pressure"}


def test_no_room_for_a_session(clip: Path) -> None:
    told: list[str] = []
    with Ring(65_536) as ring:
        while ring.push(bytes(1000)):
            pass
        with pytest.raises(CameraError, match="clip: no room in memory for a new session"):
            read(clip, ring, start=bytes(4000), on_live=lambda: told.append("live"))
    assert not told


def test_a_silent_picture(clip: Path) -> None:
    with Ring(4 << 20) as ring, pytest.raises(CameraFrozen, match="clip: video is silent"):
        read(clip, ring, freeze_ns=1)


def test_a_source_that_breaks(clip: Path, tmp_path: Path) -> None:
    """A file that is cut short ends or fails as it does under PyAV's own loop."""
    cut = tmp_path / "cut.mov"
    cut.write_bytes(clip.read_bytes()[:-5000])

    def outcome(call: Any) -> type[BaseException] | None:
        try:
            call()
        except av.error.FFmpegError as error:
            return type(error)
        return None

    def by_pyav() -> None:
        with av.open(str(cut)) as container:
            for _ in container.demux():
                pass

    with Ring(4 << 20) as ring:
        assert outcome(lambda: read(cut, ring)) == outcome(by_pyav)


def test_counters_start_at_nothing_and_can_be_set() -> None:
    counters = Counters()
    for name in ("sessions", "frames", "bytes", "dropped_frames", "last_receipt_ns", "last_video_ns"):
        assert getattr(counters, name) == 0
        setattr(counters, name, 1 << 62)
        assert getattr(counters, name) == 1 << 62
