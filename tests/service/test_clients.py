"""Clients of a site while a server dies and returns: one address, the same names, nothing missing to see."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from free_ports import free_port
from rtsp_client import RtspClient
from viewer import watched_numbers
from whole_site import WholeSite, until

from fovideo.replay import LoopSource, RtspServer, make_clip
from fovideo.replay.rtsp.sdp import clock_text
from fovideo.times import NS_PER_S, format_ns

pytestmark = pytest.mark.e2e


class Watched(WholeSite):
    """A whole site whose server and spare restream."""

    def write(self, name: str, urls: Sequence[str]) -> Path:
        path = super().write(name, urls)
        if not hasattr(self, "rtsp_ports"):
            self.rtsp_ports = free_port(), free_port()
        text = path.read_text()
        for name, port in zip(("rec-1", "spare-1"), self.rtsp_ports, strict=True):
            text = text.replace(f'store = "{name}"', f'store = "{name}"\nrestream = "127.0.0.1:{port}"')
        path.write_text(text + '[restream]\nuser = "wall"\npassword = "secret"\n')
        return path

    def url(self, camera: str, *stretch: int, place: int = 1) -> str:
        parts = [camera, *(format_ns(each) for each in stretch)]
        return f"rtsp://wall:secret@127.0.0.1:{self.rtsp_ports[place]}/{'/'.join(parts)}"


def whole(found: list[int]) -> bool:
    return found == list(range(found[0], found[0] + len(found)))


def test_the_same_address_before_during_and_after(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    make_clip(clip, width=160, height=96, gop=20, seconds=3)
    with RtspServer() as rtsp:
        site = Watched(tmp_path, [LoopSource(clip, marker=0)], rtsp)
        try:
            _watch(site)
        finally:
            site.close()


def _watch(site: Watched) -> None:
    site.settle_in()
    assert whole(watched_numbers(site.url("cam0", place=0), 30))
    assert whole(watched_numbers(site.url("cam0"), 30))
    seen: list[int] = []
    viewer = threading.Thread(target=lambda: seen.extend(watched_numbers(site.url("cam0"), 150)))
    viewer.start()
    begin_ns = time.time_ns() - 2 * NS_PER_S
    site.server.kill()
    assert whole(watched_numbers(site.url("cam0"), 30)), "live, while the server is dead"
    site.wait_for_state("standing in")
    viewer.join()
    assert len(seen) == 150
    assert whole(seen), "a viewer at the spare notices nothing"

    def recorded() -> bool:
        (info,) = site.spare.store.streams()
        return info.end_ns > begin_ns + 4 * NS_PER_S

    until(recorded, "the spare has the outage on disk")
    outage = site.url("cam0", begin_ns + NS_PER_S, begin_ns + 4 * NS_PER_S)
    during = watched_numbers(outage)
    assert whole(during)
    assert len(during) >= 75

    site.server.start()
    edge_ns = time.time_ns()
    until(lambda: site.server.records(site.cameras, edge_ns), "the server records again")
    returned_ns = time.time_ns() + NS_PER_S
    until(lambda: site.server.records(site.cameras, returned_ns + NS_PER_S), "some more is recorded")
    window = begin_ns, returned_ns
    states = {site.state}
    merging = watched_numbers(site.url("cam0", *window))
    states.add(site.state)
    assert whole(merging), f"the union, while {states}"
    assert set(during) < set(merging)
    site.wait_for_state("watching")
    with ThreadPoolExecutor() as viewers:  # a stretch is played at its own pace
        after = [viewers.submit(watched_numbers, site.url("cam0", *window, place=place)) for place in (0, 1)]
    assert [each.result() for each in after] == [merging, merging], "the server has it all now"
    with RtspClient(f"rtsp://127.0.0.1:{site.rtsp_ports[1]}/cam0") as stranger:
        assert stranger.request("DESCRIBE").status == 401
    _ffprobe(site.url("cam0"))
    _past_with_a_range(site, begin_ns)
    site.check_every_frame_once()


def _ffprobe(url: str) -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not there")
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-rtsp_transport", "tcp", "-show_entries", "stream=codec_name", url],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "codec_name=h264" in done.stdout, done.stderr


def _past_with_a_range(site: Watched, begin_ns: int) -> None:
    """One session at one URL: the outage, then live."""
    login = {"Authorization": f"Basic {b64encode(b'wall:secret').decode()}"}
    with RtspClient(f"rtsp://127.0.0.1:{site.rtsp_ports[1]}/cam0") as client:
        transport = {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1"}
        session = client.request("SETUP", client.url + "/trackID=1", **login, **transport).session
        wanted = f"clock={clock_text(begin_ns + NS_PER_S)}-"
        played = client.request("PLAY", Session=session, Range=wanted, **login)
        assert played.headers["range"].startswith("clock=")
        assert next(packet for packet in client.rtp() if packet.channel == 0)
