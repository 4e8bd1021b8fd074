"""A merge that an error ends tells what is in by then, and the next run brings the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from disks import FullDisk
from served import open_store, record

from fovideo.errors import StoreFull
from fovideo.merge import MergeReport, Pace, carry_out_all, make_plan, merge
from fovideo.merge.doing.control import MergeControl
from fovideo.store import Store

SMALL = Pace(rate_bytes=10**9, brake_ns=0)
STEP_BYTES = 40_000


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """A spare with three streams, and a server whose disk has room for some of the second one."""
    monkeypatch.setattr(Pace, "step_bytes", lambda self, live, largest=0: STEP_BYTES)
    with open_store(tmp_path / "spare") as spare, open_store(tmp_path / "server") as server:
        for name in ("dock", "gate", "yard"):
            record(spare, 0, 200, stream=name, size=2000, pending=True)
        record(server, 0, 50, stream="gate", size=2000)
        yield spare, server


def total(store: Store) -> int:
    return sum(info.frames for info in store.streams())


@pytest.mark.parametrize("planned", [False, True])
def test_a_disk_that_fills_up(
    sides: tuple[Store, Store], planned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spare, server = sides
    plans = [make_plan(spare, server, name) for name in ("dock", "gate", "yard")]
    size_bytes = sum(stretch.size_bytes for stretch in plans[0].stretches)
    told: list[MergeReport] = []

    def run() -> MergeReport:
        if planned:
            return carry_out_all(spare, server, plans, MergeControl(), pace=SMALL, on_failure=told.append)
        return merge(spare, server, pace=SMALL, on_failure=told.append)

    monkeypatch.setattr(server._committer, "files", FullDisk(size_bytes + 3 * STEP_BYTES))
    with pytest.raises(StoreFull):
        run()
    (report,) = told
    dock, gate = report.streams
    assert (report.stopped, report.not_begun) == (True, ("yard",))
    assert (dock.inserted_frames, dock.left_frames) == (200, 0)
    assert 0 < gate.inserted_frames < 150
    assert gate.inserted_frames + gate.left_frames == 150
    assert gate.verified
    assert gate.left
    assert total(server) == 50 + 200 + gate.inserted_frames
    monkeypatch.undo()
    again = run()
    assert not again.stopped
    assert again.streams[1].inserted_frames == gate.left_frames
    assert total(server) == total(spare)
    assert not spare.unsettled()
    assert len(told) == 1


def test_a_plan_that_goes_on_and_fails_again_tells_of_its_own(
    sides: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    spare, server = sides
    plans = [make_plan(spare, server, "gate")]
    told: list[MergeReport] = []
    for _ in range(2):
        with monkeypatch.context() as patched:
            patched.setattr(server._committer, "files", FullDisk(3 * STEP_BYTES))
            with pytest.raises(StoreFull):
                carry_out_all(spare, server, plans, MergeControl(), pace=SMALL, on_failure=told.append)
    first, second = (report.streams[0] for report in told)
    assert first.inserted_frames > 0
    assert second.inserted_frames > 0
    assert first.inserted_frames + second.inserted_frames + second.left_frames == 150
    assert total(server) == 200 - second.left_frames
