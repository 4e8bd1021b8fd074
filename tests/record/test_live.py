"""Live pictures of a camera that is recorded: every frame arrives at the viewer, and on disk all the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rtsp_client import RtspClient
from viewer import watched_numbers
from waiting import wait_until

from fovideo.camera import CameraConfig
from fovideo.errors import NothingThere, UsageError
from fovideo.media.codec import Codec
from fovideo.media.marker import read_marker
from fovideo.record import Mode, Recorder
from fovideo.replay import LiveSource, LoopSource, RtspServer, Settings, TimelineSource, make_clip
from fovideo.replay.rtsp.sdp import clock_text
from fovideo.store import Store
from fovideo.times import NS_PER_MS, NS_PER_S

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, gop=10, seconds=2, audio="aac", width=160, height=96)
    return path


class Relay:
    """A camera, its recorder, and the server that passes it on."""

    def __init__(self, store: Store, recorder: Recorder, camera: LoopSource, out: RtspServer) -> None:
        self.store, self.recorder, self.camera, self.out = store, recorder, camera, out
        self.source = LiveSource(lambda: recorder.tap("cam"), lambda: TimelineSource(store, "cam"))
        self.url = out.add_stream("cam", self.source)


@contextmanager
def relay(
    folder: Path, clip: Path, mode: Mode = Mode.RECORD, settings: Settings | None = None, ingest: str = "pyav"
) -> Iterator[Relay]:
    camera = LoopSource(clip, marker=1)
    with (
        RtspServer() as server,
        Store.open(folder / "store", write=True, create=True) as store,
        Recorder(store, name="rec-1", durability_ns=300 * NS_PER_MS) as recorder,
        RtspServer(settings=settings) as out,
    ):
        url = server.add_stream("cam", camera)
        recorder.add(CameraConfig(name="cam", url=url, ingest=ingest), mode=mode)  # type: ignore[arg-type]
        wait_until(lambda: recorder.status()["cam"].frames > 20, "the camera is received")
        yield Relay(store, recorder, camera, out)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("ingest", ["pyav", "native"])
def test_every_frame_arrives_in_order(tmp_path: Path, clip: Path, mode: Mode, ingest: str) -> None:
    with relay(tmp_path, clip, mode, ingest=ingest) as relayed:
        before = relayed.camera.sent()[-1].sequence
        got = watched_numbers(relayed.url, 60)
        assert got == list(range(got[0], got[0] + 60))
        assert got[0] % 10 == 0  # begins at a keyframe, at most a GOP and a bit ago
        assert got[0] >= before - 25


def test_a_takeover_and_a_hand_back_do_not_disturb_viewers(tmp_path: Path, clip: Path) -> None:
    with relay(tmp_path, clip, Mode.STANDBY) as relayed:
        got: list[int] = []
        viewer = threading.Thread(target=lambda: got.extend(watched_numbers(relayed.url, 100)))
        viewer.start()
        wait_until(lambda: relayed.out.players("cam") > 0, "the viewer plays")
        relayed.recorder.set_mode("cam", Mode.RECORD, lease=1, pending=True)
        wait_until(lambda: relayed.recorder.status()["cam"].written_frames > 30, "it records")
        relayed.recorder.set_mode("cam", Mode.STANDBY)
        viewer.join()
        assert got == list(range(got[0], got[0] + 100))


def test_the_past_under_the_same_name(tmp_path: Path, clip: Path) -> None:
    with relay(tmp_path, clip) as relayed, RtspClient(relayed.url) as client:
        wait_until(lambda: relayed.recorder.status()["cam"].written_frames > 50, "some seconds are recorded")
        (info,) = relayed.store.streams()
        session = client.setup(1, channel=0).session
        wanted = f"clock={clock_text(info.start_ns)}-{clock_text(info.start_ns + NS_PER_S)}"
        played = client.request("PLAY", Session=session, Range=wanted, **{"Rate-Control": "no"})
        assert played.headers["range"].startswith("clock=")
        assert next(packet for packet in client.rtp() if packet.channel == 0)
        live = client.request("PLAY", Session=session, Range="npt=now-")
        assert live.headers["range"] == "npt=now-"


def test_a_viewer_that_reads_nothing_is_cut_off_and_recording_goes_on(tmp_path: Path, clip: Path) -> None:
    settings = Settings(backlog_bytes=20_000, send_buffer_bytes=4096, stall_s=0.5)
    with relay(tmp_path, clip, settings=settings) as relayed:
        with socket.create_connection(("127.0.0.1", relayed.out.port)) as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client = RtspClient(relayed.url)
            with client:
                session = client.setup(1, channel=0).session
                client.request("PLAY", Session=session)
                wait_until(lambda: relayed.out.counters.stalled_clients > 0, "it is cut off", 60)
        relayed.recorder.remove("cam")
        status = relayed.recorder.status()
        assert "cam" not in status
        (gop, *_) = relayed.store.gops("cam")
        assert gop.frames
        assert relayed.store.losses("cam") == []


def test_taps_end_with_the_camera(tmp_path: Path, clip: Path) -> None:
    with relay(tmp_path, clip) as relayed:
        tap = relayed.recorder.tap("cam")
        wait_until(lambda: bool(tap.take()), "frames")
        relayed.recorder.remove("cam")
        wait_until(_ends(tap.take), "it ends")
        tap.close()
        with pytest.raises(UsageError):
            relayed.recorder.tap("cam")


def _ends(take: Callable[[], object]) -> Callable[[], bool]:
    def ended() -> bool:
        try:
            take()
        except NothingThere:
            return True
        return False

    return ended


def test_a_tap_that_is_not_read_stays_bounded(tmp_path: Path, clip: Path) -> None:
    with relay(tmp_path, clip) as relayed:
        tap = relayed.recorder.tap("cam")
        frames = relayed.recorder.status()["cam"].written_frames
        wait_until(
            lambda: relayed.recorder.status()["cam"].written_frames > frames + 150, "recording goes on"
        )
        video = [frame for frame in tap.take() if frame.track == 1]
        assert video[0].key
        markers = [read_marker(frame.payload, Codec.H264) for frame in video]
        found = [marker[1] for marker in markers if marker is not None]
        assert found == list(range(found[0], found[0] + len(found)))
        assert len(found) >= 30
        tap.close()
