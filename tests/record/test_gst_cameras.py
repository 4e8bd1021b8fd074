"""Recording footage of real cameras from an RTSP server that is not ours, and what can happen to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from gst_cameras import GstCameras, access_units, gst_cameras, require
from waiting import wait_until

from fovideo.camera import CameraConfig, CameraState
from fovideo.media.codec import Codec
from fovideo.media.nal import packing_of, store_form, to_annexb
from fovideo.record import Recorder
from fovideo.replay import read_packets
from fovideo.store import Store
from fovideo.times import NS_PER_MS, NS_PER_S

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require()
    return access_units("car-detection.mp4", tmp_path_factory.mktemp("footage"))


@pytest.fixture(scope="module")
def digests(footage: Path) -> list[int]:
    """Digest of each access unit of the footage, in order."""
    packing = packing_of(Codec.H264, annexb=True)
    with av.open(str(footage), format="h264") as container:
        return [store_form(bytes(p), packing).digest for p in container.demux(video=0) if p.size]


@contextmanager
def recording(folder: Path, url: str, **settings: object) -> Iterator[tuple[Store, Recorder]]:
    quick = {"backoff_min_ns": 10 * NS_PER_MS, "backoff_max_ns": 200 * NS_PER_MS, "freeze_ns": NS_PER_S // 2}
    with (
        Store.open(folder / "store", write=True, create=True) as store,
        Recorder(store, name="rec-1", durability_ns=200 * NS_PER_MS) as recorder,
    ):
        recorder.add(CameraConfig(name="cam", url=url, **(quick | settings)))  # type: ignore[arg-type]
        yield store, recorder


def wait_frames(recorder: Recorder, count: int) -> None:
    wait_until(lambda: recorder.status()["cam"].written_frames >= count, f"{count} frames", 60)


def numbers(frames: np.ndarray, digests: list[int]) -> list[int]:
    """Running numbers of consecutive frames of the looped footage."""
    place = {digest: number for number, digest in enumerate(digests)}
    found = [place[int(digest)] for digest in frames["digest"]]
    rounds = np.cumsum([0, *(np.diff(found) < -len(digests) // 2)])
    return (np.array(found) + rounds * len(digests)).tolist()


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_every_access_unit_once(tmp_path: Path, footage: Path, digests: list[int], transport: str) -> None:
    with (
        gst_cameras(footage, fps=100) as server,
        recording(tmp_path, server.url(), transport=transport, freeze_ns=30 * NS_PER_S) as (
            store,
            recorder,
        ),  # a busy machine is no frozen camera
    ):
        wait_frames(recorder, len(digests) + 50)  # so that the footage comes round
        recorder.remove("cam")
        frames = np.concatenate([store.frames("cam", gop) for gop in store.gops("cam")])
        packets = list(read_packets(store, "cam"))
        track = store.streams()[0].tracks[0]
    found = numbers(frames, digests)
    assert (track.width, track.height) == (768, 432)
    assert (np.diff(frames["time_ns"]) > 0).all()
    assert len(set(found)) == len(found) == len(packets)
    if transport == "udp":  # the network owes nothing
        assert len(found) > 0.9 * (found[-1] - found[0] + 1)
        return
    assert found == list(range(found[0], found[0] + len(found)))
    assert np.abs(np.diff(frames["time_ns"]) - 10 * NS_PER_MS).max() < 2 * NS_PER_MS
    assert _decoded(packets, track.parameter_sets) == len(frames)


def _decoded(packets: list[object], sets: tuple[bytes, ...]) -> int:
    """Pictures that a decoder makes of the packets, which must not complain."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.options = {"err_detect": "explode"}
    decoder.extradata = b"".join(b"\0\0\0\1" + unit for unit in sets)
    pictures = 0
    for packet in packets:
        pictures += len(decoder.decode(av.Packet(to_annexb(packet.payload))))  # type: ignore[attr-defined]
    return pictures + len(decoder.decode(None))


def test_a_frozen_server_is_noticed(tmp_path: Path, footage: Path) -> None:
    with (
        gst_cameras(footage) as server,
        recording(tmp_path, server.url(), open_timeout_ns=NS_PER_S) as (
            _,
            recorder,
        ),
    ):
        wait_frames(recorder, 10)
        server.freeze()
        wait_until(lambda: recorder.status()["cam"].reader.failures.get(CameraState.FROZEN), "the freeze")
        wait_until(
            lambda: recorder.status()["cam"].reader.failures.get(CameraState.UNREACHABLE),
            "an attempt that gets no answer",
        )
        server.thaw()
        wait_until(lambda: recorder.status()["cam"].sessions == 2, "the second session")
        wait_frames(recorder, recorder.status()["cam"].written_frames + 10)


def test_a_killed_server_is_reached_again(tmp_path: Path, footage: Path) -> None:
    first = GstCameras(footage)
    try:
        with recording(tmp_path, first.url()) as (store, recorder):
            wait_frames(recorder, 10)
            first.kill()
            wait_until(
                lambda: recorder.status()["cam"].reader.failures.get(CameraState.UNREACHABLE), "the loss"
            )
            with gst_cameras(footage, port=first.port):
                wait_until(lambda: recorder.status()["cam"].sessions == 2, "the second session")
                wait_frames(recorder, recorder.status()["cam"].written_frames + 10)
            sessions = {p.session for p in store.provenances("cam").values()}
    finally:
        first.kill()
    assert len(sessions) == 2
