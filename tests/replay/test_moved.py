"""A stream that is served elsewhere: players follow, and come to the right place again."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from rtsp_client import RtspClient

from fovideo.replay import Clip, LoopSource, Moved, RtspServer

pytestmark = pytest.mark.e2e

Clips = Callable[..., Clip]


class Places:
    """Two servers with one camera, and one that sends clients to whoever has it."""

    def __init__(self, clip: Clip) -> None:
        self.servers = [RtspServer(), RtspServer()]
        for server in self.servers:
            server.start()
            server.add_stream("cam0", LoopSource(clip))
        self.at = 0
        self.asked: list[str] = []
        self.front = RtspServer(resolve=self._resolve).start()

    def _resolve(self, path: str) -> Moved | None:
        self.asked.append(path)
        return Moved(self.servers[self.at].url(path)) if path.startswith("cam0") else None

    def close(self) -> None:
        for server in (*self.servers, self.front):
            server.close()


@pytest.fixture
def places(clip: Clips) -> Iterator[Places]:
    made = Places(clip())
    yield made
    made.close()


def test_the_answer(places: Places) -> None:
    with RtspClient(places.front.url("cam0")) as client:
        answer = client.request("DESCRIBE")
        assert (answer.status, answer.headers["location"]) == (302, places.servers[0].url("cam0"))
        assert client.request("DESCRIBE", places.front.url("other")).status == 404
    assert places.front.counters.bad_requests == 0


PLAYERS = {
    "ffprobe": "-v error -rtsp_transport tcp -show_entries stream=codec_name URL",
    "ffmpeg": "-v error -rtsp_transport tcp -i URL -frames:v 10 -c copy -f null -",
    "gst-launch-1.0": "-q rtspsrc location=URL protocols=tcp ! rtph264depay ! h264parse ! "
    "identity eos-after=20 ! fakesink sync=false",
}


@pytest.mark.parametrize("player", PLAYERS)
def test_players_follow_and_find_it_again(places: Places, player: str) -> None:
    if shutil.which(player) is None:
        pytest.skip(f"{player} is not there")
    for at in (0, 1):
        places.at = at
        arguments = PLAYERS[player].replace("URL", places.front.url("cam0")).split()
        done = subprocess.run([player, *arguments], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert places.servers[at].counters.units > 0
    assert len(places.asked) >= 2
