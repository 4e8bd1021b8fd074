"""The recordings of a whole site while one of its machines is dead: what cannot be reached is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command import fovideo
from footage import FRAME_NS, T0_NS
from free_ports import free_ports
from served import health_of, open_store, record, remote, served
from waiting import wait_until

from fovideo.errors import PeerError
from fovideo.peer import Directory, Health, ManagementStatus
from fovideo.service.app import make_app
from fovideo.service.http import HttpServer
from fovideo.service.whole import WholeTimeline
from fovideo.site import Site, site_from
from fovideo.site.version import Version
from fovideo.store import Store
from fovideo.store.describe import describe
from fovideo.timeline.endpoint import unreachable

DIED = 150
"""The frame that the server had on disk last; the spare has those from 140 on."""


def site_of(folder: Path, port: int) -> Site:
    text = (
        '[site]\nname = "plant"\n'
        f'[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:{port}"\nstore = "rec-1"\n'
        '[[spare]]\nname = "spare-1"\nlisten = "127.0.0.1:9"\nstore = "spare-1"\n'
        '[[camera]]\nname = "gate"\nserver = "rec-1"\nurl = "rtsp://127.0.0.1:9/1"\n'
    )
    return site_from(text, folder / "site.toml")


class Shown:
    """What manages a site, as far as its recordings are concerned."""

    def __init__(self, whole: WholeTimeline) -> None:
        self._whole = whole

    def whole(self) -> WholeTimeline:
        return self._whole

    def status(self) -> ManagementStatus:
        raise NotImplementedError

    def directory(self) -> Directory:
        raise NotImplementedError

    def configuration(self) -> Version:
        raise NotImplementedError

    def publish(self, text: str, after: int | None, licence: str = "") -> ManagementStatus:
        raise NotImplementedError


@contextmanager
def managed(whole: WholeTimeline, spare: Store) -> Iterator[str]:
    def health() -> Health:
        return health_of(spare)

    http = HttpServer(make_app(whole, health, management=Shown(whole), recording=False), "127.0.0.1", 0)
    http.start()
    try:
        yield f"{http.url}/site"
    finally:
        http.stop()


@pytest.mark.parametrize("known", [True, False], ids=["its edge is known", "nobody heard it"])
def test_what_a_dead_server_recorded_is_a_named_gap(tmp_path: Path, known: bool) -> None:
    (port,) = free_ports(1)
    edge_ns = T0_NS + DIED * FRAME_NS
    with open_store(tmp_path / "rec-1") as server, open_store(tmp_path / "spare-1") as spare:
        record(server, 0, DIED)
        record(spare, DIED - 10, 100, pending=True)
        server.commit()
        spare.commit()
        site = site_of(tmp_path, port)
        whole = WholeTimeline(
            site,
            site.spares[0],
            {"spare-1": spare},
            recorded_to_ns=lambda camera: edge_ns if known else 0,
            wall_ns=lambda: edge_ns + 10**12,
        )
        with managed(whole, spare) as url, remote(url) as timeline:
            (seen,) = describe(timeline)
            assert unreachable(timeline) == ("rec-1",)
            assert seen.frames == 100
            (seen,) = describe(timeline, from_ns=T0_NS)
            (gap,) = seen.gaps
            reason = "on rec-1, not reachable until it returns"
            assert gap.reason == (reason if known else "perhaps on rec-1, which does not answer")
            assert (gap.start_ns, gap.end_ns) == (T0_NS, T0_NS + (DIED - 10) * FRAME_NS)
            if known:
                said = fovideo("timeline", url)
                assert "rec-1 does not answer: what it recorded cannot be reached" in said.stdout
        whole.close()


def missed(whole: WholeTimeline) -> bool:
    """Whether it can be described without the server."""
    try:
        describe(whole)
    except PeerError:
        return False
    return bool(whole.unreachable)


def test_what_was_seen_before_is_a_gap_without_being_asked_for(tmp_path: Path) -> None:
    with open_store(tmp_path / "rec-1") as server, open_store(tmp_path / "spare-1") as spare:
        record(server, 0, DIED)
        record(spare, DIED - 10, 100, pending=True)
        server.commit()
        spare.commit()
        with served(server) as http:
            port = int(http.url.rpartition(":")[2])
            site = site_of(tmp_path, port)
            edge_ns = T0_NS + DIED * FRAME_NS
            whole = WholeTimeline(
                site, site.spares[0], {"spare-1": spare}, recorded_to_ns=lambda camera: edge_ns
            )
            (seen,) = describe(whole)
            assert (seen.frames, seen.gaps, whole.unreachable) == (DIED + 90, (), ())
        wait_until(lambda: missed(whole), "it is noticed that the server is dead", 30)
        (seen,) = describe(whole)
        assert whole.unreachable == ("rec-1",)
        (gap,) = seen.gaps
        assert (gap.start_ns, gap.reason) == (T0_NS, "on rec-1, not reachable until it returns")
        whole.close()
