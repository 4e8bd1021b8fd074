"""Session descriptions: what a decoder must know before the first packet."""

from __future__ import annotations

from base64 import b64encode

import pytest
from streams import audio, video

from fovideo.media.codec import Codec, Track
from fovideo.replay.rtsp.sdp import clock_rate, describe, payload_type

S = 1_000_000_000


def lines(*tracks: Track, extent: tuple[int, int] | None = None, host: str = "127.0.0.1") -> list[str]:
    text = describe("cam", host, tracks, extent, 7)
    assert text.endswith("\r\n")
    return text.split("\r\n")[:-1]


def test_h264() -> None:
    track = video().track
    sps, pps = track.parameter_sets
    sets = f"{b64encode(sps).decode()},{b64encode(pps).decode()}"
    got = lines(track)
    assert "m=video 0 RTP/AVP 96" in got
    assert "a=rtpmap:96 H264/90000" in got
    fmtp = f"a=fmtp:96 packetization-mode=1;profile-level-id={sps[1:4].hex()};sprop-parameter-sets={sets}"
    assert fmtp in got
    assert "a=control:trackID=1" in got


def test_h265() -> None:
    track = video(Codec.H265).track
    vps, sps, pps = (b64encode(nal).decode() for nal in track.parameter_sets)
    got = lines(track)
    assert "a=rtpmap:96 H265/90000" in got
    assert f"a=fmtp:96 sprop-vps={vps};sprop-sps={sps};sprop-pps={pps}" in got


def test_a_camera_without_parameter_sets_yet() -> None:
    got = lines(Track(id=1, codec=Codec.H264))
    assert "a=fmtp:96 packetization-mode=1" in got
    assert not any("fmtp" in line for line in lines(Track(id=1, codec=Codec.H265)))


@pytest.mark.parametrize(
    ("track", "wanted"),
    [
        (
            Track(id=2, codec=Codec.PCMU, sample_rate=8000, channels=1),
            ["m=audio 0 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"],
        ),
        (
            Track(id=2, codec=Codec.PCMA, sample_rate=8000, channels=1),
            ["m=audio 0 RTP/AVP 8", "a=rtpmap:8 PCMA/8000"],
        ),
        (Track(id=2, codec=Codec.PCMA, sample_rate=16_000, channels=2), ["a=rtpmap:97 PCMA/16000/2"]),
        (Track(id=2, codec=Codec.OPUS, sample_rate=48_000, channels=1), ["a=rtpmap:97 opus/48000/2"]),
        (
            Track(id=3, codec=Codec.ONVIF),
            ["m=application 0 RTP/AVP 107", "a=rtpmap:107 vnd.onvif.metadata/90000"],
        ),
    ],
)
def test_other_codecs(track: Track, wanted: list[str]) -> None:
    got = lines(track)
    assert all(line in got for line in wanted)


def test_aac() -> None:
    track = audio(Codec.AAC).track
    got = lines(track)
    assert "a=rtpmap:97 mpeg4-generic/48000/1" in got
    assert any(
        f"mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;config={track.config.hex()}" in x
        for x in got
    )


def test_live_and_recorded_ranges() -> None:
    assert "a=range:npt=now-" in lines(video().track)
    got = lines(video().track, extent=(1_790_000_000 * S, 1_790_000_090 * S + S // 2))
    assert "a=range:npt=0-90.500" in got
    assert "a=range:clock=20260921T141320.000Z-20260921T141450.500Z" in got


def test_ipv6() -> None:
    assert "o=- 7 7 IN IP6 ::1" in lines(video().track, host="::1")


def test_clock_rates() -> None:
    assert clock_rate(Track(id=2, codec=Codec.OPUS, sample_rate=24_000, channels=1)) == 48_000
    assert payload_type(Track(id=2, codec=Codec.PCMU, sample_rate=16_000, channels=1)) == 97


def test_tracks_are_the_client_s_to_receive() -> None:
    """ONVIF's clients take a track with "sendonly" as one to speak on, and some then refuse the camera."""
    got = lines(video().track, audio(Codec.AAC).track)
    assert got.count("a=recvonly") == 2
    assert "a=sendonly" not in got
