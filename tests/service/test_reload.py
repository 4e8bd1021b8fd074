"""A new site.toml while the station runs: only what changed is touched, and what is wrong changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some
from waiting import wait_until

from fovideo.camera import CameraConfig
from fovideo.cli.demo_judge import recorded_numbers
from fovideo.errors import ConfigError
from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.service.events import Event
from fovideo.service.reload import Reloaded, ReloadRefused, camera_changes
from fovideo.service.serve import RecordingServer
from fovideo.service.spare import Spare
from fovideo.service.station import Station
from fovideo.site import load_site

CAMERAS = ("left", "right", "back")


class Plant:
    """Three cameras, of which site.toml names some."""

    def __init__(self, folder: Path, rtsp: RtspServer) -> None:
        self.file = folder / "site.toml"
        make_clip(folder / "clip.mp4", width=160, height=96, seconds=2, gop=10)
        self.sources = [LoopSource(folder / "clip.mp4", marker=number) for number in range(len(CAMERAS))]
        self._urls = {
            name: rtsp.add_stream(name, source) for name, source in zip(CAMERAS, self.sources, strict=True)
        }

    def write(self, *cameras: str, detection: str = "", site: str = "", **extra: str) -> Path:
        """extra: more lines of a camera's table."""
        lines = [
            f'[site]\nname = "plant"\n[detection]\n{detection}\n{site}',
            '[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:0"\nurl = "http://127.0.0.1:9"\nstore = "rec-1"',
            '[[spare]]\nname = "spare-1"\nlisten = "127.0.0.1:0"\nstore = "spare-1"',
        ]
        for name in cameras:
            table = f'[[camera]]\nname = "{name}"\nserver = "rec-1"\nurl = "{self._urls[name]}"'
            lines.append(f"{table}\n{extra.get(name, '')}")
        self.file.write_text("\n".join(lines))
        return self.file


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    with RtspServer() as rtsp:
        yield Plant(tmp_path, rtsp)


def live(station: Station, *names: str) -> None:
    def true() -> bool:
        status = station.recorder.status()
        return set(status) == set(names) and all(status[name].frames > 20 for name in names)

    wait_until(true, f"{', '.join(names)} deliver", 30)


def test_no_frame_of_an_unchanged_camera_is_lost(plant: Plant) -> None:
    events: list[Event] = []
    site = load_site(plant.write("left", "right"))
    with RecordingServer(site, "rec-1", on_event=events.append) as server:
        live(server, "left", "right")
        sessions = {name: status.session for name, status in server.recorder.status().items()}
        for cameras, extra in ((("left", "back"), {}), (("left", "back"), {"back": 'freeze = "4s"'})):
            server.reload_file(plant.write(*cameras, **extra))
            live(server, *cameras)
        assert server.recorder.status()["left"].session == sessions["left"]
        assert server.recorder.flush(20)
        numbers = recorded_numbers(server.store, "left", 0)
        assert {info.name for info in server.store.streams()} == set(CAMERAS)
    assert set(numbers) == set(range(min(numbers), max(numbers) + 1))
    assert max(numbers.values()) == 1
    reloads = [event for event in events if isinstance(event, Reloaded)]
    assert reloads == [Reloaded(added=("back",), removed=("right",)), Reloaded(changed=("back",))]


@pytest.mark.parametrize(
    ("changes", "clue"),
    [
        ({"site": '[[camera]]\nname = "left"\nserver = "rec-1"\nurl = "x.mp4"'}, "left"),
        ({"detection": 'poll = "soon"'}, "poll"),
        ({"left": 'password_env = "FOVIDEO_TEST_ABSENT"\nuser = "u"'}, "FOVIDEO_TEST_ABSENT"),
    ],
)
def test_what_is_wrong_changes_nothing(plant: Plant, changes: dict[str, str], clue: str) -> None:
    events: list[Event] = []
    with RecordingServer(load_site(plant.write("left")), "rec-1", on_event=events.append) as server:
        live(server, "left")
        before = server.site, server.recorder.status()["left"].session
        with pytest.raises(ConfigError, match=clue):
            server.reload_file(plant.write("left", **changes))
        assert (server.site, server.recorder.status()["left"].session) == before
        (refused,) = [event for event in events if isinstance(event, ReloadRefused)]
        assert clue in refused.error
        assert "\n" not in refused.error


def test_what_wants_a_restart_is_said(plant: Plant) -> None:
    with RecordingServer(load_site(plant.write("left")), "rec-1") as server:
        text = plant.file.read_text()
        for before, after, key in (
            ('store = "rec-1"', 'store = "elsewhere"', "store"),
            ('name = "plant"', 'name = "mill"', "another site"),
            ('name = "rec-1"', 'name = "rec-2"', "rec-1"),
        ):
            plant.file.write_text(text.replace(before, after).replace('"rec-1"\nurl', '"rec-2"\nurl', 0))
            with pytest.raises(ConfigError, match=key):
                server.reload_file(plant.file)


def test_a_spare_that_stands_in(plant: Plant) -> None:
    """It goes on recording what it stood in for, under the same number, and nothing of it is lost."""
    with Spare(load_site(plant.write("left", "right")), "spare-1") as spare:
        wait_until(lambda: spare.health().servers["rec-1"].state == "standing in", "takeover", 60)
        live(spare, "left", "right")
        lease = spare.health().servers["rec-1"].lease
        session = spare.recorder.status()["left"].session
        done = spare.reload_file(
            plant.write("left", "right", "back", detection='stalled_after = "6s"', right='freeze = "4s"')
        )
        assert done == Reloaded(added=("back",), changed=("right",), servers=("rec-1",))
        wait_until(lambda: spare.health().servers["rec-1"].state == "standing in", "takeover", 60)
        live(spare, *CAMERAS)
        watched = spare.health().servers["rec-1"]
        assert watched.lease == lease
        wait_until(
            lambda: {spare.recorder.status()[name].mode for name in CAMERAS} == {"record"}, "all recorded", 60
        )
        assert len(spare.health().servers["rec-1"].cameras) == 3
        assert spare.recorder.status()["left"].session == session
        assert spare.recorder.flush(20)
        numbers = recorded_numbers(spare.store, "left", 0)
    assert set(numbers) == set(range(min(numbers), max(numbers) + 1))


configs = some.dictionaries(
    some.sampled_from(CAMERAS), some.integers(1, 3).map(lambda n: n * 1_000_000_000), max_size=3
).map(
    lambda found: {
        name: CameraConfig(name=name, url="rtsp://h/x", freeze_ns=freeze) for name, freeze in found.items()
    }
)


@given(configs, configs)
def test_changes_lead_from_one_to_the_other(
    before: dict[str, CameraConfig], after: dict[str, CameraConfig]
) -> None:
    changes = camera_changes(before, after)
    reached = {name: camera for name, camera in before.items() if name not in changes.removed}
    reached |= {name: after[name] for name in (*changes.added, *changes.changed)}
    assert reached == after
    touched = {name for names in changes for name in names}
    assert all(before.get(name) == after.get(name) for name in {*before, *after} - touched)
    assert len(touched) == sum(map(len, changes))
