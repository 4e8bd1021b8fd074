"""The directory: who serves a camera, for every state that its machines can be in."""

from __future__ import annotations

from pathlib import Path

import pytest

from fovideo.peer import CameraHealth, Health, StoreHealth, WatchedServer
from fovideo.service.directory import Answer, directory_of
from fovideo.site import Site, site_from

TEXT = """
[site]
name = "plant"
[[server]]
name = "rec-1"
listen = "127.0.0.1:1"
store = "a"
restream = "127.0.0.1:8001"
attached = ["relay board"]
[[spare]]
name = "spare-1"
listen = "127.0.0.1:2"
store = "b"
restream = "127.0.0.1:8002"
[[spare]]
name = "spare-2"
listen = "127.0.0.1:3"
store = "c"
[[camera]]
name = "gate"
server = "rec-1"
url = "rtsp://10.0.0.1/1"
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_from(TEXT, tmp_path / "site.toml")


def health(name: str, **settings: object) -> Answer:
    camera = settings.pop("camera", CameraHealth(state="live", durable_to_ns=7, dropped=1, lost=2))
    role = "server" if name.startswith("rec") else "spare"
    servers = settings.pop("servers", {})
    return Answer(
        Health(
            name=name,
            role=role,
            instance="1",
            state="recording",
            now_ns=1,
            cameras={"gate": camera},  # type: ignore[dict-item]
            servers=servers,  # type: ignore[arg-type]
            store=StoreHealth(id="x"),
        )
    )


def watched(state: str, lease: int = 3) -> dict[str, WatchedServer]:
    cameras = {} if state == "watching" else {"gate": state}
    return {
        "rec-1": WatchedServer(
            state=state, cameras=cameras, lease=lease, unmerged_frames=5, recorded_to_ns={"gate": 7}
        )
    }


GONE = Answer(None, "nothing listens there")


@pytest.mark.parametrize(
    ("server", "first", "second", "by", "state", "live"),
    [
        ("well", "watching", "watching", "rec-1", "recording", "rtsp://127.0.0.1:8001/gate"),
        ("well", None, None, "rec-1", "recording", "rtsp://127.0.0.1:8001/gate"),
        (None, "standing in", "watching", "spare-1", "standing in", "rtsp://127.0.0.1:8002/gate"),
        (None, "watching", "standing in", "spare-2", "standing in", ""),
        ("well", "merging", "watching", "spare-1", "merging", "rtsp://127.0.0.1:8002/gate"),
        (None, "watching", None, "spare-1", "live only", "rtsp://127.0.0.1:8002/gate"),
        (None, None, None, "", "unserved", ""),
    ],
)
def test_where_a_camera_is(
    site: Site, server: str | None, first: str | None, second: str | None, by: str, state: str, live: str
) -> None:
    answers = {
        "rec-1": GONE if server is None else health("rec-1"),
        "spare-1": GONE if first is None else health("spare-1", servers=watched(first)),
        "spare-2": GONE if second is None else health("spare-2", servers=watched(second)),
    }
    directory = directory_of(site, answers, now_ns=9)
    (place,) = directory.streams
    assert (place.by, place.state, place.live) == (by, state, live)
    assert place.unmerged_frames == 5 * sum(each is not None for each in (first, second))
    if server is not None:
        assert place.missing_frames >= 3
    gone = {"rec-1": server, "spare-1": first, "spare-2": second}
    assert place.unreachable == tuple(name for name, said in gone.items() if said is None)
    assert place.recorded_to_ns == (7 if server is None and (first or second) else 0)
    assert directory.machines["rec-1"].attached == (() if server is None else ("relay board",))
    assert directory.machines["rec-1"].error == ("" if server else "nothing listens there")


def test_of_two_spares_the_later_takeover_counts(site: Site) -> None:
    answers = {
        "rec-1": GONE,
        "spare-1": health("spare-1", servers=watched("standing in", lease=3)),
        "spare-2": health("spare-2", servers=watched("standing in", lease=4)),
    }
    (place,) = directory_of(site, answers).streams
    assert (place.by, place.lease) == ("spare-2", 4)


def test_nobody_was_asked_yet(site: Site) -> None:
    directory = directory_of(site, {})
    assert {machine.error for machine in directory.machines.values()} == {"not asked yet"}
    assert directory.streams[0].state == "unserved"


def test_a_camera_that_the_server_cannot_reach_is_said(site: Site) -> None:
    answers = {"rec-1": health("rec-1", camera=CameraHealth(state="unreachable"))}
    assert directory_of(site, answers).streams[0].state == "unreachable"
