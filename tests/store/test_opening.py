"""What can be opened, by whom, and what is said of what cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from disks import ForgetfulDisk, PowerCut
from footage import VIDEO, session, video

from fovideo.errors import NotAStore, StoreBusy, StoreDamaged, StoreError
from fovideo.store import Store


@pytest.mark.parametrize("make", [False, True])
def test_a_missing_or_empty_folder_becomes_a_store(tmp_path: Path, make: bool) -> None:
    path = tmp_path / "deep" / "store"
    if make:
        path.mkdir(parents=True)
    for write in (False, True):
        with pytest.raises(NotAStore):
            Store.open(path, write=write)
    with Store.open(path, write=True, create=True) as store:
        identity = store.identity
        assert len(identity) == 32
    assert json.loads((path / "store.json").read_text()) == {
        "format": "fovideo-store",
        "version": 1,
        "id": identity,
    }
    with Store.open(path) as store:
        assert store.identity == identity


def test_a_store_can_be_made_for_reading(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", create=True) as reader, Store.open(tmp_path / "s", write=True):
        assert reader.streams() == []


def test_foreign_folders_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    for where in (tmp_path, tmp_path / "letter.txt", tmp_path / "letter.txt" / "deeper"):
        with pytest.raises(NotAStore) as caught:
            Store.open(where, write=True, create=True)
        assert caught.value.hint
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "marker",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":"other","version":1,"id":"x"}',
        b'{"format":"fovideo-store","version":2,"id":"x"}',
    ],
)
def test_other_markers_are_refused(tmp_path: Path, marker: bytes) -> None:
    (tmp_path / "store.json").write_bytes(marker)
    with pytest.raises(NotAStore):
        Store.open(tmp_path, write=True, create=True)


def test_a_lost_marker_is_no_new_store(tmp_path: Path) -> None:
    with (
        Store.open(tmp_path / "s", write=True, create=True) as store,
        store.writer("gate", session()) as writer,
    ):
        writer.set_format([VIDEO])
        writer.append(*video(0, 5), epoch=0)
    (tmp_path / "s" / "store.json").unlink()
    with pytest.raises(StoreDamaged, match="check --repair"):
        Store.open(tmp_path / "s", write=True, create=True)


def test_creation_may_be_cut_off_anywhere(tmp_path: Path) -> None:
    (tmp_path / "graveyard").mkdir()
    for die_at in range(100):
        disk = ForgetfulDisk(tmp_path / "graveyard", die_at)
        path = tmp_path / str(die_at)
        try:
            Store.open(path, write=True, create=True, files=disk).close()
            break
        except PowerCut:
            Store.open(path, write=True, create=True).close()
    else:
        pytest.fail("never done")


def test_one_writer_in_this_process(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", write=True, create=True):
        with pytest.raises(StoreBusy, match="this process"):
            Store.open(tmp_path / "s", write=True)
        errors: list[BaseException] = []

        def attempt() -> None:
            try:
                Store.open(tmp_path / "s", write=True)
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert isinstance(errors[0], StoreBusy)
    Store.open(tmp_path / "s", write=True).close()


def test_another_process_that_writes_is_named(tmp_path: Path) -> None:
    code = (
        "import sys; from fovideo.store import Store\n"
        "store = Store.open(sys.argv[1], write=True, create=True)\n"
        "print('ready', flush=True); sys.stdin.read(); store.close()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "s")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(StoreBusy, match=f"process {child.pid} "):
            Store.open(tmp_path / "s", write=True)
        with Store.open(tmp_path / "s") as reader:
            assert reader.recovery.clean
        child.stdin.close()
        assert child.wait(30) == 0
    with Store.open(tmp_path / "s", write=True) as store:
        assert store.recovery.clean


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    writer = store.writer("gate", session())
    writer.set_format([VIDEO])
    writer.append(*video(0, 5), epoch=0)
    store.close()
    store.close()
    with Store.open(tmp_path / "s") as reader:
        assert reader.streams()[0].frames == 5
        assert reader.streams()[0].live_edge_ns == 0


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        Store.open(Path("/proc/nowhere/store"), write=True, create=True)


def test_two_readers_and_a_writer_share_the_index_of_a_process(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", write=True, create=True)
    first, second = Store.open(tmp_path / "s"), Store.open(tmp_path / "s")
    store.close()
    assert first.streams() == second.streams() == []
    first.close()
    again = Store.open(tmp_path / "s", write=True)
    assert second.streams() == []
    again.close()
    second.close()
