"""Retention: oldest first, by segment; what is not merged only when the quota forces it, and then told."""

from __future__ import annotations

from pathlib import Path

import pytest
from disks import ForgetfulDisk, PowerCut, abandon
from footage import T0_NS, VIDEO, session, video

from fovideo.errors import NothingThere
from fovideo.store import Store, StoreOptions
from fovideo.timeline import Loss
from fovideo.times import NS_PER_S


def filled(path: Path, *, pending: bool = False, files=None, **options: int) -> Store:
    """Two streams of 20 s in segments of 2 s."""
    settings = StoreOptions(segment_duration_ns=2 * NS_PER_S, **options)
    store = Store.open(path, write=True, create=True, options=settings, files=files)
    for name, shift in (("gate", 0), ("yard", NS_PER_S)):
        with store.writer(name, session(), pending=pending) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(0, 500, start_ns=T0_NS + shift), epoch=0)
    return store


def starts(store: Store, stream: str) -> list[float]:
    return [(row.start_ns - T0_NS) / NS_PER_S for row in store.gops(stream)]


def files(store: Store) -> int:
    return len(list(Path(store.location).glob("segments/*/*/*.mp4")))


def test_without_limits_nothing_goes(tmp_path: Path) -> None:
    with filled(tmp_path / "s") as store:
        assert store.expire(T0_NS * 2).segments == 0
        assert files(store) == 20


def test_by_age(tmp_path: Path) -> None:
    with filled(tmp_path / "s", max_age_ns=10 * NS_PER_S) as store:
        before = store.streams()[0].generation
        gone = store.expire(T0_NS + 16 * NS_PER_S)
        assert (gone.segments, gone.frames, gone.lost_frames) == (5, 250, 0)
        assert starts(store, "gate") == list(range(6, 20))
        assert starts(store, "yard") == list(range(5, 21))
        assert files(store) == 15
        assert store.streams()[0].generation > before
        assert store.losses("gate") == []
        assert store.check().sound


def test_by_quota_oldest_first_over_all_streams(tmp_path: Path) -> None:
    with filled(tmp_path / "s") as store:
        total = sum(path.stat().st_size for path in Path(store.location).glob("segments/*/*/*.mp4"))
    options = StoreOptions(quota_bytes=total // 2)
    with Store.open(tmp_path / "s", write=True, options=options) as store:
        gone = store.expire(T0_NS)
        assert 10 <= gone.segments <= 11
        assert gone.over_bytes == 0
        assert (
            sum(path.stat().st_size for path in Path(store.location).glob("segments/*/*/*.mp4")) <= total // 2
        )
        assert starts(store, "gate")[-8:] == list(range(12, 20))
        assert starts(store, "yard") == list(range(11, 21))
        assert store.expire(T0_NS).segments == 0
        assert store.check().sound


def test_what_is_not_merged_stays_however_old(tmp_path: Path) -> None:
    with filled(tmp_path / "s", pending=True, max_age_ns=NS_PER_S) as store:
        assert store.expire(T0_NS + 3600 * NS_PER_S).segments == 0
        store.settle("gate", [row.serial for row in store.gops("gate")[:6]])
        assert store.expire(T0_NS + 3600 * NS_PER_S).segments == 3
        assert starts(store, "gate") == list(range(6, 20))


def test_a_quota_frees_what_is_merged_first_then_tells_what_it_loses(tmp_path: Path) -> None:
    with filled(tmp_path / "s", pending=True) as store:
        store.settle("yard", [row.serial for row in store.gops("yard")])
    options = StoreOptions(quota_bytes=40_000)
    with Store.open(tmp_path / "s", write=True, options=options) as store:
        gone = store.expire(T0_NS)
        assert store.gops("yard") == []
        assert store.losses("yard") == []
        left = starts(store, "gate")
        assert 0 < len(left) < 20
        lost = store.losses("gate")
        assert {loss.reason for loss in lost} == {"expired"}
        assert sum(loss.frames for loss in lost) == gone.lost_frames == (20 - len(left)) * 25
        assert lost[0].start_ns == T0_NS
        assert lost[-1] == Loss(lost[-1].start_ns, T0_NS + int(left[0]) * NS_PER_S, 50, "expired")
        assert store.check().sound


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    with filled(tmp_path / "s", quota_bytes=1) as store:
        writer = store.writer("gate", session(2))
        writer.set_format([VIDEO])
        writer.append(*video(1000, 25), epoch=0)
        store.commit()
        gone = store.expire(T0_NS)
        assert gone.over_bytes > 0
        assert starts(store, "gate") == [40]
        assert starts(store, "yard") == []
        writer.append(*video(1025, 25), epoch=0)
        store.commit()
        assert starts(store, "gate") == [40, 41]


def test_provenances_go_with_their_last_segment(tmp_path: Path) -> None:
    with filled(tmp_path / "s", max_age_ns=1) as store:
        with store.writer("gate", session(2)) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(1000, 25), epoch=0)
        assert len(store.provenances("gate")) == 2
        store.expire(T0_NS + 30 * NS_PER_S)
        assert [known.session for known in store.provenances("gate").values()] == [session(2).session]


def test_losses_go_with_the_footage_around_them(tmp_path: Path) -> None:
    options = StoreOptions(segment_duration_ns=2 * NS_PER_S, max_age_ns=10 * NS_PER_S)
    losses = [
        Loss(T0_NS + start * NS_PER_S, T0_NS + (start + 1) * NS_PER_S, 1, "transport") for start in (1, 19)
    ]
    with Store.open(tmp_path / "s", write=True, create=True, options=options) as store:
        with store.writer("gate", session()) as writer:
            writer.set_format([VIDEO])
            writer.append(*video(0, 500), epoch=0)
            for loss in losses:
                writer.loss(loss)
        assert store.losses("gate") == losses
        store.expire(T0_NS + 16 * NS_PER_S)
        assert store.losses("gate") == losses[1:]


def test_rows_that_have_gone_are_told(tmp_path: Path) -> None:
    with filled(tmp_path / "s", max_age_ns=1) as store:
        row = store.gops("gate")[0]
        store.expire(T0_NS * 2)
        for attempt in (store.read, store.tracks):
            with pytest.raises(NothingThere):
                attempt("gate", row)


@pytest.mark.parametrize("die_at", range(0, 12, 3))
def test_a_crash_while_expiring(tmp_path: Path, die_at: int) -> None:
    graveyard = tmp_path / "graveyard"
    graveyard.mkdir()
    filled(tmp_path / "s").close()
    disk = ForgetfulDisk(graveyard)
    options = StoreOptions(max_age_ns=NS_PER_S)
    store = Store.open(tmp_path / "s", write=True, options=options, files=disk)
    disk.die_at = disk.steps + die_at
    with pytest.raises(PowerCut):
        store.expire(T0_NS + 16 * NS_PER_S)
    abandon(store)
    with Store.open(tmp_path / "s", write=True, options=options) as again:
        again.expire(T0_NS + 16 * NS_PER_S)
        assert starts(again, "gate") == list(range(14, 20))
        assert again.check().sound
