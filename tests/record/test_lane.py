"""A lane between a ring and a real store: modes, sessions, formats, drops, and disks that fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disks import FullDisk, UnsafeDisk
from footage import AUDIO, VIDEO
from ring_camera import FRAME_NS, PPS, SPS, WALL, RingCamera

from fovideo.camera.clock import Stamper
from fovideo.errors import StoreError, StoreFull
from fovideo.media.codec import Codec, Track
from fovideo.media.frames import Clock
from fovideo.record import Event, FramesLost, Mode, ModeChanged
from fovideo.record.lane import Intent, Lane
from fovideo.ring import Kind, Ring
from fovideo.store import Files, Store
from fovideo.timeline.values import GopFlag

S = 1_000_000_000
BARE = Track(id=1, codec=Codec.H264)


class Rig:
    """A lane with its ring, camera and store."""

    def __init__(
        self, folder: Path, *, mode: Mode, ring_bytes: int = 8 << 20, files: Files | None = None
    ) -> None:
        self.store = Store.open(folder / "store", write=True, create=True, files=files)
        self.ring = Ring(ring_bytes)
        self.camera = RingCamera(self.ring)
        self.events: list[Event] = []
        self.lane = Lane(
            "cam",
            self.ring,
            self.store,
            recorder="rec-1",
            preroll_ns=2 * S,
            intent=Intent(mode),
            emit=self.events.append,
        )

    def tick(self, *, finish: bool = False) -> None:
        """What the writer thread does."""
        self.lane.drain(self.camera.now_ns)
        if finish:
            self.lane.finish(self.camera.now_ns)
        self.store.commit()
        self.lane.committed()

    def frames(self) -> np.ndarray:
        """All frames of the store in the order of time."""
        gops = self.store.gops("cam")
        return np.concatenate([self.store.frames("cam", gop) for gop in gops])

    def numbers(self) -> list[int]:
        """Which frames of the camera the store holds."""
        video = self.frames()
        return sorted((np.unique(video["time_ns"][video["track"] == 1]) - WALL) // FRAME_NS)

    def close(self) -> None:
        self.store.close()
        self.ring.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path, mode=Mode.RECORD)
    yield made
    made.close()


def test_frames_go_to_the_store_once_and_free_their_memory(rig: Rig) -> None:
    rig.camera.begin()
    for _ in range(6):
        rig.camera.frames(7)
        rig.tick()
    rig.tick(finish=True)
    assert rig.numbers() == list(range(42))
    assert len(rig.frames()) == 42
    assert rig.ring.used_bytes == 0
    assert rig.lane.written_frames == 42
    assert rig.lane.durable_to_ns == WALL + 41 * FRAME_NS
    assert rig.lane.clock is Clock.SENDER_REPORT
    assert rig.lane.clock_ahead_ns == 0
    (provenance,) = rig.store.provenances("cam").values()
    assert (provenance.recorder, provenance.session) == ("rec-1", f"{1:016x}")
    assert (provenance.source, provenance.store) == ("rtsp://camera/", rig.store.identity)


def test_what_is_not_durable_stays_in_the_ring(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.frames(30)
    used = rig.ring.used_bytes
    rig.lane.drain(rig.camera.now_ns)
    assert rig.ring.used_bytes == used
    rig.store.commit()
    assert rig.ring.used_bytes == used
    rig.lane.committed()
    assert rig.ring.used_bytes < 300  # the newest frame, until the next one shows that it is no B-frame's


def test_since_when_frames_wait_for_the_disk(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.frames(30)
    assert rig.lane.safe_ns == 0
    rig.tick()
    first = rig.lane.safe_ns
    assert first == rig.camera.now_ns
    rig.camera.frames(30)
    rig.lane.drain(rig.camera.now_ns)
    assert rig.lane.safe_ns == first, "drained is not durable"
    rig.store.commit()
    rig.lane.committed()
    assert rig.lane.safe_ns == rig.camera.now_ns > first
    rig.lane.drain(rig.camera.now_ns + 60 * S)
    assert rig.lane.safe_ns == rig.camera.now_ns + 60 * S, "nothing came, so nothing waits"


def test_each_session_has_its_own_provenance(rig: Rig) -> None:
    for _ in range(3):
        rig.camera.begin()
        rig.camera.frames(10)
        rig.camera.end()
    rig.tick()
    assert rig.numbers() == list(range(30))
    assert sorted(p.session for p in rig.store.provenances("cam").values()) == [
        f"{n:016x}" for n in (1, 2, 3)
    ]


def test_standby_writes_nothing_and_keeps_the_preroll(tmp_path: Path) -> None:
    rig = Rig(tmp_path, mode=Mode.STANDBY)
    rig.camera.begin()
    for _ in range(50):
        rig.camera.frames(7)
        rig.tick()
    assert rig.store.streams() == []
    kept = rig.ring.units(None, 1 << 20)
    assert 50 <= len(kept) <= 70  # 2 s at 25 fps, begun at a keyframe
    rig.close()


def test_taking_over_writes_the_preroll_first(tmp_path: Path) -> None:
    rig = Rig(tmp_path, mode=Mode.STANDBY)
    rig.camera.begin()
    rig.camera.frames(333)
    rig.tick()
    first = rig.camera.next - len(rig.ring.units(None, 1 << 20))
    rig.lane.want(Intent(Mode.RECORD, lease=7, pending=True))
    assert not rig.lane.settled
    rig.camera.frames(20)
    rig.tick()
    assert rig.lane.settled
    rig.camera.frames(20)
    rig.tick(finish=True)
    assert rig.numbers() == list(range(first, 373))
    assert first % 10 == 0
    assert first <= 333 - 50
    (provenance,) = rig.store.provenances("cam").values()
    assert provenance.lease == 7
    assert all(gop.flags & GopFlag.PENDING for gop in rig.store.gops("cam"))
    changed = next(event for event in rig.events if isinstance(event, ModeChanged))
    assert changed.mode is Mode.RECORD
    assert changed.preroll_ns == (353 - first) * FRAME_NS
    rig.close()


def test_handing_back_and_taking_over_again_in_one_session(tmp_path: Path) -> None:
    """Nothing twice, nothing missing in between but what standby let go, and no epoch number twice."""
    rig = Rig(tmp_path, mode=Mode.STANDBY)
    rig.camera.begin()
    rig.camera.frames(100)
    rig.lane.want(Intent(Mode.RECORD, 1))
    rig.tick()
    rig.camera.frames(30)
    rig.lane.want(Intent(Mode.STANDBY))
    rig.tick()
    assert rig.ring.used_bytes == 0
    assert rig.numbers()[-1] == 129
    rig.camera.frames(200)
    rig.tick()
    rig.lane.want(Intent(Mode.RECORD, 2))
    rig.tick()
    rig.tick(finish=True)
    numbers = rig.numbers()
    assert len(numbers) == len(rig.frames())
    assert numbers[-1] == 329
    gops = rig.store.gops("cam")
    by_lease: dict[int, set[int]] = {}
    for gop in gops:
        lease = rig.store.provenances("cam")[gop.provenance].lease
        by_lease.setdefault(lease, set()).add(gop.epoch)
    assert by_lease.keys() == {1, 2}
    assert not by_lease[1] & by_lease[2]
    rig.close()


def test_a_new_lease_while_recording_begins_a_new_segment(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.frames(15)
    rig.tick()
    rig.lane.want(Intent(Mode.RECORD, 5))
    rig.tick()
    rig.camera.frames(15)
    rig.tick(finish=True)
    assert rig.numbers() == list(range(30))
    assert {p.lease for p in rig.store.provenances("cam").values()} == {0, 5}


def test_a_new_lease_waits_until_a_new_session_knows_its_times(rig: Rig) -> None:
    """A spare that starts beside a dead server gets its lease while the first frame has just come."""
    rig.camera.begin()
    rig.camera.frames(1)
    rig.lane.want(Intent(Mode.RECORD, 5))
    rig.tick()
    assert not rig.lane.settled
    assert rig.store.streams() == []
    rig.camera.frames(15)
    rig.tick()
    rig.tick()
    assert rig.lane.settled
    rig.tick(finish=True)
    assert rig.numbers() == list(range(16))


def test_a_new_lease_does_not_wait_for_a_camera_that_falls_silent(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.frames(1)
    rig.lane.want(Intent(Mode.RECORD, 5))
    rig.lane.drain(rig.camera.now_ns + 3 * S)
    rig.store.commit()
    rig.lane.committed()
    assert rig.lane.settled
    assert rig.numbers() == [0]


def test_new_parameter_sets_in_band_begin_a_new_segment(rig: Rig) -> None:
    other = bytes.fromhex("6742c01fd900780227e5c05a808080a0000003002000000651e30632c0")
    rig.camera.begin()
    rig.camera.frames(40, other, PPS, sets_at=20)
    rig.tick(finish=True)
    assert rig.numbers() == list(range(40))
    gops = rig.store.gops("cam")
    tracks = [rig.store.tracks("cam", gop)[0] for gop in gops]
    assert [track.parameter_sets for track in tracks] == [(SPS, PPS)] * 2 + [(other, PPS)] * 2
    assert gops[1].segment != gops[2].segment
    assert (tracks[2].width, tracks[2].height) != (tracks[0].width, tracks[0].height)


def test_the_same_parameter_sets_in_band_change_nothing(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.frames(40, SPS, PPS, sets_at=20)
    rig.tick(finish=True)
    assert len({gop.segment for gop in rig.store.gops("cam")}) == 1


def test_frames_wait_for_the_first_parameter_sets(rig: Rig) -> None:
    """Some cameras announce none: what comes before the first is written once they are known."""
    rig.camera.next = 5
    rig.camera.begin(tracks=(BARE,))
    rig.camera.frames(5)
    rig.tick()
    assert rig.store.streams() == []
    rig.camera.frames(10, SPS, PPS, sets_at=10)
    rig.tick(finish=True)
    assert rig.numbers() == list(range(5, 20))
    assert rig.lane.lost_frames == 0


def test_a_camera_that_never_sends_parameter_sets_is_reported(tmp_path: Path) -> None:
    rig = Rig(tmp_path, mode=Mode.RECORD, ring_bytes=64 << 10)
    rig.camera.begin(tracks=(BARE,))
    for _ in range(40):
        rig.camera.frames(10)
        rig.tick()
    assert "no parameter sets" in rig.lane.error
    assert rig.lane.lost_frames > 0
    assert rig.ring.dropped_units == 0
    rig.close()


def test_tracks_that_change_in_a_session(rig: Rig) -> None:
    start = rig.camera.begin()
    rig.camera.frames(10)
    rig.camera.begin(start.session, tracks=(VIDEO, AUDIO))
    rig.camera.frames(10)
    rig.tick(finish=True)
    assert rig.numbers() == list(range(20))
    assert len(rig.store.provenances("cam")) == 1
    assert len({gop.segment for gop in rig.store.gops("cam")}) == 2


def test_drops_of_a_full_ring_are_a_loss(tmp_path: Path) -> None:
    rig = Rig(tmp_path, mode=Mode.RECORD, ring_bytes=64 << 10)
    rig.camera.begin()
    taken = rig.camera.frames(400)
    assert taken < 400
    rig.tick()
    while rig.camera.next % 10:
        rig.camera.frames(1)
    rig.camera.frames(10)
    rig.tick(finish=True)
    (loss,) = rig.store.losses("cam")
    numbers = rig.numbers()
    assert loss.reason == "disk-slow"
    assert loss.frames == rig.camera.next - len(numbers) == rig.lane.lost_frames
    assert loss.start_ns == WALL + numbers[taken - 1] * FRAME_NS
    assert loss.end_ns == WALL + numbers[taken] * FRAME_NS
    assert numbers[taken] % 10 == 0  # whole GOPs are dropped
    assert [event.loss for event in rig.events if isinstance(event, FramesLost)] == [loss]
    rig.close()


def test_what_a_ring_may_hold_can_be_less_than_its_size(tmp_path: Path) -> None:
    rig = Rig(tmp_path, mode=Mode.RECORD)
    rig.ring.restrict(256 << 10)
    rig.camera.size = 2000
    rig.camera.begin()
    taken = rig.camera.frames(400)
    assert taken < 400
    assert rig.ring.used_bytes <= rig.ring.allowed_bytes == 256 << 10
    rig.tick()
    rig.ring.restrict(0)
    assert rig.ring.allowed_bytes == rig.ring.capacity_bytes
    while rig.camera.next % 10:
        rig.camera.frames(1)
    assert rig.camera.frames(400) == 400
    rig.tick(finish=True)
    (loss,) = rig.store.losses("cam")
    assert loss.frames == rig.camera.next - len(rig.numbers()) == rig.lane.lost_frames
    rig.close()


def test_what_waited_long_is_written_in_large_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = Files.write

    def counted(self: Files, fd: int, buffers: Any, offset: int) -> int:
        sizes.append(write(self, fd, buffers, offset))
        return sizes[-1]

    monkeypatch.setattr(Files, "write", counted)
    rig = Rig(tmp_path, mode=Mode.RECORD, ring_bytes=32 << 20)
    rig.camera.size = 20_000
    rig.camera.begin()
    rig.camera.frames(10)
    rig.tick()
    sizes.clear()
    assert rig.camera.frames(800) == 800
    rig.tick(finish=True)
    assert rig.numbers() == list(range(810))
    assert max(sizes) < 4 << 20
    assert len(sizes) <= sum(sizes) // (3 << 20) + 2
    rig.close()


def test_drops_at_the_end_are_a_loss_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path, mode=Mode.RECORD, ring_bytes=64 << 10)
    rig.camera.begin()
    taken = rig.camera.frames(400)
    rig.tick(finish=True)
    assert sum(event.loss.frames for event in rig.events if isinstance(event, FramesLost)) == 400 - taken
    rig.close()


def test_a_full_disk_loses_nothing_that_still_fits_into_memory(tmp_path: Path) -> None:
    disk = FullDisk(1 << 40)
    rig = Rig(tmp_path, mode=Mode.RECORD, files=disk)
    rig.camera.begin()
    rig.camera.frames(30)
    rig.tick()
    disk.room = 100
    for _ in range(4):
        rig.camera.frames(25)
        with pytest.raises(StoreFull):
            rig.tick()
        rig.store.commit()
        rig.lane.committed()
    assert rig.numbers() == list(range(29))  # the newest was still held back
    disk.room = 1 << 40
    rig.tick(finish=True)
    assert rig.numbers() == list(range(130))
    assert len(rig.frames()) == 130
    assert rig.ring.used_bytes == 0
    rig.close()


def test_an_unsafe_disk_is_written_again_from_the_ring(tmp_path: Path) -> None:
    disk = UnsafeDisk()
    rig = Rig(tmp_path, mode=Mode.RECORD, files=disk)
    rig.camera.begin()
    for round_ in range(12):
        rig.camera.frames(13)
        disk.failures = round_ % 4
        try:
            rig.tick()
        except StoreError:
            assert rig.ring.used_bytes > 0
    disk.failures = 0
    rig.tick(finish=True)
    assert rig.numbers() == list(range(156))
    assert len(rig.frames()) == 156
    assert disk.retried == 0
    rig.close()


def test_a_refused_step_is_not_done_twice(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back-dating, loss and frames each go to the writer once, whatever fails between them."""
    rig.camera.begin()
    rig.camera.frames(25)
    real = rig.store.writer
    calls: list[str] = []

    def failing(*args: Any, **kwargs: Any) -> Any:
        calls.append("writer")
        if len(calls) < 3:
            raise StoreFull("no room")
        return real(*args, **kwargs)

    monkeypatch.setattr(rig.store, "writer", failing)
    for _ in range(2):
        with pytest.raises(StoreFull):
            rig.lane.drain(rig.camera.now_ns)
    rig.tick(finish=True)
    assert rig.numbers() == list(range(25))


def test_giving_up_drops_what_is_there_and_goes_on(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.frames(20)
    rig.tick()
    rig.camera.frames(13)
    rig.lane.give_up(ValueError("boom"))
    rig.tick()
    assert rig.ring.used_bytes == 0
    assert rig.lane.failures == 1
    assert "ValueError" in rig.lane.error
    rig.camera.frames(17)
    rig.tick(finish=True)
    assert rig.numbers() == [*range(19), *range(33, 50)]
    (loss,) = rig.store.losses("cam")
    assert (loss.frames, loss.reason) == (14, "unwritable")
    assert rig.lane.lost_frames == 14


def test_a_stamper_for_each_session_only(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = Stamper.__init__

    def counting(self: Stamper, *args: Any, **kwargs: Any) -> None:
        made.append(1)
        real(self, *args, **kwargs)

    monkeypatch.setattr(Stamper, "__init__", counting)
    rig.camera.begin()
    for _ in range(5):
        rig.camera.frames(10)
        rig.tick()
    rig.camera.end()
    rig.tick(finish=True)
    assert len(made) == 1


def test_an_end_without_frames(rig: Rig) -> None:
    rig.camera.begin()
    rig.camera.end()
    rig.tick(finish=True)
    assert rig.store.streams() == []
    assert Kind.END not in rig.ring.units()["kind"]


def test_the_local_clock_stays_over_a_standby(tmp_path: Path) -> None:
    """Frames recorded before and after keep their distance, however late the first one after it came."""
    rig = Rig(tmp_path, mode=Mode.STANDBY)
    rig.camera.begin()
    rig.camera.frames(50)
    rig.lane.want(Intent(Mode.RECORD, 1))
    rig.tick()
    rig.lane.want(Intent(Mode.STANDBY))
    rig.tick()
    rig.camera.frames(50)
    rig.lane.want(Intent(Mode.RECORD, 2))
    rig.tick()
    rig.tick(finish=True)
    gops = rig.store.gops("cam")
    times = np.concatenate([rig.store.frames("cam", gop)["time_ns"] for gop in gops])
    assert len(gops) > 1
    assert set(np.diff(np.sort(times)).tolist()) == {FRAME_NS}
    rig.close()
