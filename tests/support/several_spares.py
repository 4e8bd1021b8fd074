"""A site of real processes: servers and spares of `fovideo`, cameras over RTSP, perhaps etcd."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from free_ports import free_ports
from site_text import QUICK, machine
from site_text import camera as camera_table
from whole_site import Process, until

from fovideo.cli.demo_judge import recorded_numbers
from fovideo.failover import State
from fovideo.peer import Health, WatchedServer
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.store import Store


class SeveralSpares:
    """servers "rec-1".. with a camera each ("cam0"..), spares "spare-1".."""

    def __init__(
        self,
        folder: Path,
        sources: Sequence[LoopSource],
        rtsp: RtspServer,
        spares: int,
        *,
        site: str = "",
        spare: str = "",
        camera: str = "",
    ) -> None:
        self.folder, self.sources = folder, list(sources)
        count = len(self.sources)
        ports = free_ports(count + spares)
        text = f'[site]\nname = "test"\n{site}{QUICK}'
        for n in range(count):
            server = f"rec-{n + 1}"
            url = rtsp.add_stream(f"/cam{n}", self.sources[n])
            text += machine("server", server, ports[n])
            text += camera_table(f"cam{n}", url, camera, server=server)
        for n in range(spares):
            text += machine("spare", f"spare-{n + 1}", ports[count + n], spare)
        self.file = folder / "site.toml"
        self.file.write_text(text)
        self.servers = [Process(self.file, "server", f"rec-{n + 1}") for n in range(count)]
        self.spares = [Process(self.file, "spare", f"spare-{n + 1}") for n in range(spares)]
        self.begin_ns = 0

    def settle_in(self) -> None:
        """Start all, and wait until all is well; from here on, every frame counts."""
        for process in (*self.servers, *self.spares):
            process.start()
        cameras = [f"cam{n}" for n in range(len(self.sources))]
        for n, server in enumerate(self.servers):
            until(lambda server=server, n=n: server.records([f"cam{n}"]), "the servers record")
        for spare in self.spares:
            present = [name for name in cameras if name in self.of(spare).cameras]
            until(lambda spare=spare, p=present: spare.hears(p), "the spares hear the cameras")
        until(lambda: not self.standing(), "the spares are at rest")
        self.begin_ns = time.time_ns()
        for n, server in enumerate(self.servers):
            until(lambda server=server, n=n: server.records([f"cam{n}"], self.begin_ns), "up to date")

    def of(self, spare: Process) -> Health:
        """What a spare says, as soon as it does."""
        found: list[Health | None] = [None]

        def answers() -> bool:
            found[0] = spare.health()
            return found[0] is not None

        until(answers, "the spare answers")
        assert found[0] is not None
        return found[0]

    def watched(self, spare: int, server: int) -> WatchedServer | None:
        health = self.spares[spare].health() if self.spares[spare].runs else None
        return None if health is None else health.servers[f"rec-{server + 1}"]

    def standing(self) -> list[tuple[int, int]]:
        """(spare, server) for whoever stands in."""
        pairs = [(a, b) for a in range(len(self.spares)) for b in range(len(self.servers))]
        return [(a, b) for a, b in pairs if (w := self.watched(a, b)) and w.state not in _AT_REST]

    def holds(self, spare: int, server: int, *, firm: bool | None = None) -> bool:
        watched = self.watched(spare, server)
        if watched is None or watched.state != State.STANDING_IN or not watched.claimed:
            return False
        return firm is None or watched.firm is firm

    def wait_for_holder(self, server: int, *, firm: bool | None = None) -> int:
        """The spare that holds a server, once one does and no other."""
        found: list[int] = []

        def one() -> bool:
            found[:] = [n for n in range(len(self.spares)) if self.holds(n, server, firm=firm)]
            return len(found) == 1

        until(one, f"one spare holds rec-{server + 1}")
        return found[0]

    def check_every_frame_once(self) -> None:
        """Stop everything once all is handed back: each server's timeline has each sent frame, once."""
        end_ns = time.time_ns()
        for n, server in enumerate(self.servers):
            until(lambda server=server, n=n: server.records([f"cam{n}"], end_ns), "the last frames are there")
        until(lambda: not self.standing(), "all is handed back")
        for process in (*self.spares, *self.servers):
            process.stop()
        for n, source in enumerate(self.sources):
            with Store.open(self.folder / f"rec-{n + 1}") as store:
                found = recorded_numbers(store, f"cam{n}", n)
            sent = [frame.sequence for frame in source.sent(self.begin_ns, end_ns)]
            missing = [sequence for sequence in sent if sequence not in found]
            twice = [sequence for sequence, count in found.items() if count > 1]
            facts = f"cam{n}: missing {missing[:9]}, twice {twice[:9]} of {sent[0]}..{sent[-1]}"
            assert not missing, facts
            assert not twice, facts

    def close(self) -> None:
        for process in (*self.spares, *self.servers):
            process.close()


_AT_REST = (State.WATCHING, State.SUSPECT)


@contextmanager
def several_spares(folder: Path, servers: int = 2, spares: int = 2, **text: str) -> Iterator[SeveralSpares]:
    sources = []
    for number in range(servers):
        clip = folder / f"clip{number}.mp4"
        make_clip(clip, width=160, height=96, gop=20 + 5 * number, b_frames=0, seconds=3, seed=number)
        sources.append(LoopSource(clip, marker=number))
    with (
        RtspServer("127.0.0.1", 0) as rtsp,
        contextlib.closing(SeveralSpares(folder, sources, rtsp, spares, **text)) as site,
    ):
        yield site
