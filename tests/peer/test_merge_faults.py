"""Merging over a network that fails: targets killed mid-insertion, connections that are cut; readers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cutting_proxy import cutting_proxy
from footage import FRAME_NS, T0_NS
from free_ports import free_ports
from served import open_store, record, served

from fovideo.merge import MergeControl, Order, Pace, Progress, merge
from fovideo.peer import Connection, RemoteStore
from fovideo.replay import read_packets
from fovideo.store import Store
from fovideo.times import NS_PER_S

KILLS = int(os.environ.get("FOVIDEO_KILLS", "4"))

SERVER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from served import health_of
from fovideo.service.app import make_app
from fovideo.service.http import HttpServer
from fovideo.store import Store
store = Store.open(sys.argv[1], write=True)
http = HttpServer(make_app(store, lambda: health_of(store)), "127.0.0.1", int(sys.argv[2]))
http.start()
print("up", flush=True)
sys.stdin.read()
"""


class Target:
    """A server in a process of its own, that is killed and comes back at the same address."""

    def __init__(self, store: Path) -> None:
        self._store = store
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        support = Path(__file__).parents[1] / "support"
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVER, str(self._store), str(self.port), str(support)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "up\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.communicate()


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[Store, Path]]:
    with open_store(tmp_path / "server") as server:
        record(server, 0, 100, size=3000)
    with open_store(tmp_path / "spare") as spare:
        record(spare, 50, 600, size=3000, pending=True)
        yield spare, tmp_path / "server"


def digests(store: Store) -> list[int]:
    return [int(d) for row in store.gops("gate") for d in store.frames("gate", row)["digest"]]


@pytest.mark.slow
def test_a_target_that_is_killed_again_and_again(sides: tuple[Store, Path]) -> None:
    """Killed after each number of insertions, and while one is on its way; the merge waits and goes on."""
    spare, folder = sides
    target = Target(folder)
    target.start()
    kills = iter(range(KILLS))

    def restart() -> None:
        target.kill()
        target.start()

    threads: list[threading.Thread] = []

    def progress(done: Progress) -> None:
        number = next(kills, None)
        if number is not None:
            # At once, or while the next insertion is being sent.
            thread = threading.Thread(target=lambda: (time.sleep(0.002 * number), restart()))
            threads.append(thread)
            thread.start()
            thread.join(None if number % 2 else 0.0)

    connection = Connection(target.url, pauses_s=(0.05, 0.2, 1.0))
    with RemoteStore("", connection=connection) as remote:
        report = merge(
            spare,
            remote,
            pace=Pace(rate_bytes=800_000, brake_ns=0),
            progress=progress,
            patience_ns=60 * NS_PER_S,
        ).streams[0]
        for thread in threads:
            thread.join()
        assert report.verified
        assert report.inserted_frames == 550
    target.kill()
    with Store.open(folder, write=True) as server:
        found = digests(server)
        assert len(found) == len(set(found)) == 650
        assert server.check().sound
        assert not spare.unsettled()
        assert merge(spare, server).streams[0].inserted_frames == 0


@pytest.mark.parametrize("way", ["up", "down"])
def test_connections_that_are_cut_all_the_time(sides: tuple[Store, Path], way: str) -> None:
    spare, folder = sides
    with Store.open(folder, write=True) as server, served(server) as http, cutting_proxy(http.port) as proxy:
        proxy.cut_after = lambda number, at: 400_000 + 7919 * number if at == way and number < 12 else None
        connection = Connection(proxy.url, pauses_s=(0.0, 0.0, 0.05))
        with RemoteStore("", connection=connection) as remote:
            if way == "up":  # push
                pace = Pace(rate_bytes=10**9)
                report = merge(spare, remote, pace=pace, patience_ns=60 * NS_PER_S).streams[0]
                assert len(digests(server)) == len(set(digests(server)))
                assert (report.inserted_frames, server.streams()[0].frames) == (550, 650)
            else:  # pull, by a third
                merge(spare, server)
                with open_store(folder.parent / "third") as third:
                    merge(remote, third, patience_ns=60 * NS_PER_S)
                    assert digests(third) == digests(server)
        assert proxy.connections > 1


def test_a_reader_sees_a_consistent_timeline_all_the_while(sides: tuple[Store, Path]) -> None:
    """Whatever is there decodes from a keyframe on, in order, and nothing that was there goes."""
    spare, folder = sides
    with Store.open(folder, write=True) as server, Store.open(folder) as reader:
        seen: list[int] = []

        def look(done: Progress) -> None:
            # The insertion has returned, so its GOPs are there, also for other readers.
            packets = list(read_packets(reader, "gate"))
            times = [packet.time_ns for packet in packets]
            assert times == sorted(set(times))
            last = None
            for packet in packets:
                follows = last is not None and packet.time_ns - last == FRAME_NS
                assert packet.key or follows, "a frame without the one that it needs"
                last = packet.time_ns
            assert not seen or len(packets) > seen[-1]
            seen.append(len(packets))

        merge(spare, server, order=Order.NEWEST, pace=Pace(rate_bytes=2_000_000), progress=look)
        assert len(seen) > 1
        assert seen[-1] == 650
        assert [p.time_ns for p in read_packets(reader, "gate")] == [T0_NS + n * FRAME_NS for n in range(650)]


def test_a_push_is_paused_and_ended(sides: tuple[Store, Path]) -> None:
    spare, folder = sides
    control = MergeControl()
    with (
        Store.open(folder, write=True) as server,
        served(server) as http,
        RemoteStore(http.url) as remote,
    ):
        report = merge(
            spare,
            remote,
            pace=Pace(rate_bytes=10**6),
            control=control,
            progress=lambda done: control.cancel(),
        )
        (stream,) = report.streams
        assert report.stopped
        assert 0 < stream.inserted_frames < 550
        assert stream.inserted_frames + stream.left_frames == 550
        assert sum(row.frames for row in spare.unsettled()) >= stream.left_frames
        assert merge(spare, remote).streams[0].inserted_frames == stream.left_frames
        assert server.streams()[0].frames == 650
        assert not spare.unsettled()
