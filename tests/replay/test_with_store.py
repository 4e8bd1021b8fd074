"""Replay of a real store: what was written comes back, also while retention removes it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rtsp_client import RtspClient
from streams import Made, audio, metadata, pieces, video

from fovideo.errors import SegmentDamaged, StoreError
from fovideo.media.codec import Codec
from fovideo.replay import RtspServer, Settings, TimelineSource, cut_clip, export_mp4, read_packets
from fovideo.store import Store, StoreOptions
from fovideo.timeline.values import Provenance
from fovideo.times import NS_PER_S

MADE = video(Codec.H264, 60, b_frames=2)
SOUND = audio(Codec.AAC, 2.4)
NOTES = metadata()


def write(store: Store, *streams: Made) -> None:
    writer = store.writer("gate", Provenance(recorder="rec-1", session="00112233445566ff"))
    writer.set_format([stream.track for stream in streams])
    for frames, payloads in pieces(*streams):
        writer.append(frames, payloads, epoch=0)
    writer.close()
    store.commit()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    options = StoreOptions(segment_duration_ns=NS_PER_S)
    with Store.open(tmp_path / "store", write=True, create=True, options=options) as opened:
        write(opened, MADE, SOUND, NOTES)
        yield opened


def segments(store: Store) -> list[Path]:
    return sorted(Path(store.location).glob("segments/**/*.mp4"))


def test_packets(store: Store) -> None:
    packets = list(read_packets(store, "gate"))
    for stream, track in ((MADE, 1), (SOUND, 2), (NOTES, 3)):
        assert [packet.payload for packet in packets if packet.track == track] == stream.payloads
    assert len(segments(store)) > 1


def test_export_and_clip(store: Store, tmp_path: Path) -> None:
    assert export_mp4(store, "gate", None, None, tmp_path / "x.mp4").video_frames == 60
    clip = cut_clip(store, "gate").video
    assert clip is not None
    assert [sample.lengths for sample in clip.samples] == MADE.payloads


def test_over_rtsp(store: Store) -> None:
    with RtspServer(settings=Settings(end_grace_s=0.05)) as server:
        url = server.add_stream("rec", TimelineSource(store, "gate", speed=None))
        with RtspClient(url) as client:
            client.request("PLAY", Session=client.setup(1, channel=0).session)
            assert sum(packet.marker for packet in client.rtp()) == 60


def test_rows_that_expire_while_they_are_read_are_passed_over(store: Store) -> None:
    packets = read_packets(store, "gate", tracks=[1])
    first = next(packets)
    store.expire(1 << 62)
    options = StoreOptions(segment_duration_ns=NS_PER_S, max_age_ns=1)
    location = Path(store.location)
    store.close()
    with Store.open(location, write=True, options=options) as again:
        rest = read_packets(again, "gate", tracks=[1])
        assert next(rest) == first
        again.expire(1 << 62)
        assert len(list(rest)) < 59


def test_a_missing_file_is_an_error(store: Store) -> None:
    segments(store)[-1].unlink()
    with pytest.raises(StoreError, match="fovideo check"):
        list(read_packets(store, "gate"))


def test_a_cut_file_is_an_error(store: Store) -> None:
    last = segments(store)[-1]
    last.write_bytes(last.read_bytes()[:-3])
    with pytest.raises(SegmentDamaged, match=last.name):
        list(read_packets(store, "gate"))
