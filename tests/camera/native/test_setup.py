"""Setting up a session: descriptions, authorization, messages and transports, as bytes and text only."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.camera import CameraConfig, Credentials, _native
from fovideo.camera.native import NotServed, sdp
from fovideo.camera.native.auth import Authorizer
from fovideo.camera.native.client import request_url
from fovideo.camera.native.message import Incoming, Request, Response, encode_response, parse_message
from fovideo.camera.native.offer import Offer, control_url, offers
from fovideo.camera.native.transport import Transport, parse_transport
from fovideo.media.codec import Codec

HERE = Path(__file__).with_name("descriptions")
HIKVISION = (HERE / "hikvision.sdp").read_text()

DAHUA = (HERE / "dahua.sdp").read_text()

CAMERA = CameraConfig(name="cam", url="rtsp://10.0.0.1/stream")


def offered(text: str, camera: CameraConfig = CAMERA) -> list[Offer]:
    return offers(sdp.parse(text), camera)


# descriptions


def test_a_hikvision_description() -> None:
    video, audio, metadata = offered(HIKVISION)
    assert (video.form, video.rate, video.payload_type, video.control) == (
        _native.H264,
        90_000,
        96,
        "trackID=video",
    )
    assert [unit[0] & 31 for unit in video.track.parameter_sets] == [7, 8]
    assert video.track.width > 0
    assert (audio.form, audio.rate, audio.payload_type, audio.track.codec) == (
        _native.PACKETS,
        8000,
        8,
        Codec.PCMA,
    )
    assert (metadata.form, metadata.payload_type, metadata.track.codec) == (
        _native.DOCUMENTS,
        107,
        Codec.ONVIF,
    )


def test_a_dahua_description() -> None:
    video, audio = offered(DAHUA)
    assert (video.form, video.track.codec, video.interval_ns) == (_native.H265, Codec.H265, 40_000_000)
    assert [unit[0] >> 1 & 63 for unit in video.track.parameter_sets] == [32, 33, 34]
    assert (audio.form, audio.rate, audio.size_bits, audio.index_bits) == (_native.AAC, 64_000, 13, 3)
    assert (audio.track.config, audio.track.channels) == (b"\x12\x90", 2)


def test_tracks_that_are_not_wanted() -> None:
    camera = CameraConfig(name="cam", url=CAMERA.url, audio=False, metadata=False)
    assert [offer.track.codec for offer in offered(HIKVISION, camera)] == [Codec.H264]


@pytest.mark.parametrize(
    ("found", "instead", "reason"),
    [
        ("packetization-mode=0", "packetization-mode=2", "interleaved"),
        ("RTP/AVP 96", "RTP/SAVP 96", "SAVP"),
        ("vnd.onvif.metadata/", "vnd.onvif.metadata.gzip/", "gzip"),
        ("vnd.onvif.metadata/", "", "application"),
        ("PCMA/8000", "MP4A-LATM/8000", "LATM"),
        ("PCMA/8000", "MPEG4-GENERIC/8000\na=fmtp:8 config=1290;mode=CELP-cbr", "MPEG-4"),
    ],
)
def test_what_needs_libavformat(found: str, instead: str, reason: str) -> None:
    with pytest.raises(NotServed, match=reason):
        offered(HIKVISION.replace(found, instead))


def test_decoding_order_numbers_need_libavformat() -> None:
    with pytest.raises(NotServed, match="order"):
        offered(DAHUA.replace("profile-id=1", "sprop-max-don-diff=2"))


def test_a_stream_without_a_track_that_is_known() -> None:
    with pytest.raises(NotServed, match="no track"):
        offered("v=0\nm=video 0 RTP/AVP 26\n")


@pytest.mark.parametrize(
    "sets", ["", ";sprop-parameter-sets=", ";sprop-parameter-sets=!!!,", ";sprop-parameter-sets=AAAA"]
)
def test_parameter_sets_that_cannot_be_read_are_left_to_the_stream(sets: str) -> None:
    text = re.sub(";sprop-parameter-sets=[^\n]*", sets, HIKVISION)
    (video, *_) = offered(text)
    assert video.track.parameter_sets == ()
    assert (video.track.width, video.track.height) == (0, 0)


@given(st.text(max_size=400) | st.lists(st.sampled_from(DAHUA.split("\n"))).map("\n".join))
def test_any_description_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError, NotServed):
        offered("v=0\n" + text)


@pytest.mark.parametrize(
    ("base", "control", "url"),
    [
        ("rtsp://h/s/", "trackID=1", "rtsp://h/s/trackID=1"),
        ("rtsp://h/s", "/trackID=1", "rtsp://h/s/trackID=1"),
        ("rtsp://h/s?channel=1", "trackID=1", "rtsp://h/s?channel=1/trackID=1"),
        ("rtsp://h/s", "rtsp://h/other/1", "rtsp://h/other/1"),
        ("rtsp://h/s/", "*", "rtsp://h/s/"),
        ("rtsp://h/s/", "", "rtsp://h/s/"),
    ],
)
def test_control_urls(base: str, control: str, url: str) -> None:
    assert control_url(base, control) == url


def test_request_urls_hold_no_password() -> None:
    assert request_url("rtsp://u:p%40@10.0.0.1:8554/a/b?c=1#f") == "rtsp://10.0.0.1:8554/a/b?c=1"
    assert request_url("rtsp://10.0.0.1") == "rtsp://10.0.0.1/"


# authorization


def fields(header: str) -> dict[str, str]:
    assert header.startswith("Digest ")
    pairs = re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))', header)
    return {name: quoted or plain for name, quoted, plain in pairs}


def test_digest_as_rfc_2617_has_it() -> None:
    made = Authorizer(Credentials("Mufasa", "Circle Of Life"), client_nonce=lambda: "0a4f113b")
    asked = 'Digest realm="testrealm@host.com", qop="auth,auth-int", opaque="5ccc", '
    asked += 'nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"'
    assert made.challenge([asked])
    answer = fields(made.header("GET", "/dir/index.html"))
    assert answer["response"] == "6629fae49393a05397450978507c4ef1"
    assert (answer["nc"], answer["qop"], answer["opaque"]) == ("00000001", "auth", "5ccc")
    assert fields(made.header("GET", "/dir/index.html"))["nc"] == "00000002"


def test_sha_256_as_rfc_7616_has_it() -> None:
    made = Authorizer(
        Credentials("Mufasa", "Circle of Life"),
        client_nonce=lambda: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    common = 'realm="http-auth@example.org", qop="auth, auth-int", '
    common += 'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"'
    assert made.challenge(
        [f"Digest {common}, algorithm=MD5", f"Digest {common}, algorithm=SHA-256", 'Basic realm="x"']
    )
    answer = fields(made.header("GET", "/dir/index.html"))
    assert answer["response"] == "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
    assert answer["algorithm"] == "SHA-256"


def test_digest_without_qop() -> None:
    made = Authorizer(Credentials("u", 'quo"te'))
    assert made.challenge(['Digest realm="r", nonce="n", stale="TRUE"'])
    assert made.is_stale
    answer = fields(made.header("DESCRIBE", "rtsp://h/s"))
    assert set(answer) == {"username", "realm", "nonce", "uri", "response"}
    assert 'quo"te' not in made.header("DESCRIBE", "rtsp://h/s")


def test_basic_is_the_last_choice() -> None:
    made = Authorizer(Credentials("Aladdin", "open sesame"))
    assert made.challenge(['Basic realm="x"'])
    assert made.header("PLAY", "x") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    assert made.challenge(['Basic realm="x"', 'Digest realm="x", nonce="n"'])
    assert made.header("PLAY", "x").startswith("Digest")


@pytest.mark.parametrize(
    "asked", [[], ["Negotiate"], ['Digest realm="r"'], ['Digest realm="r", nonce="n", algorithm=X']]
)
def test_questions_that_have_no_answer(asked: list[str]) -> None:
    made = Authorizer(Credentials("u", "p"))
    assert not made.challenge(asked)
    assert made.header("PLAY", "x") == ""
    assert not Authorizer(Credentials()).challenge(['Basic realm="x"'])


@given(st.lists(st.text(max_size=80), max_size=3))
def test_any_question_is_answered_or_not(asked: list[str]) -> None:
    made = Authorizer(Credentials("u", "hunter2"))
    made.challenge([f"Digest {text}" for text in asked])
    assert "hunter2" not in made.header("PLAY", "rtsp://h/s") + repr(made)


# messages

ANSWER = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 3\r\nWWW-Authenticate: Basic realm="a"\r\n'
ANSWER += b"www-authenticate: Digest x\r\n"
ANSWER += b"Content-Length: 9\r\nFolded: one\r\n  two\r\n\r\nbody\r\n\r\n."


def test_an_answer() -> None:
    answer = parse_message(ANSWER)
    assert isinstance(answer, Response)
    assert (answer.status, answer.reason, answer.sequence) == (401, "Unauthorized", "3")
    assert answer.headers["www-authenticate"] == ['Basic realm="a"', "Digest x"]
    assert answer.headers.first("folded") == "one two"
    assert answer.body == b"body\r\n\r\n."


def test_a_request_and_its_answer() -> None:
    request = parse_message(b"OPTIONS * RTSP/1.0\nCSeq: 5\n\n")
    assert request == Request("OPTIONS", "*", {"cseq": ["5"]})
    assert encode_response(200, "OK", "5") == b"RTSP/1.0 200 OK\r\nCSeq: 5\r\n\r\n"
    assert encode_response(200, "OK", "5\r\nX: y") == b"RTSP/1.0 200 OK\r\n\r\n"


@given(st.data())
def test_answers_between_packets_however_they_are_cut(data: st.DataObject) -> None:
    early = b"$\x00\x00\x03abc"
    whole = early + ANSWER + b"\r\n" + early + b"OPTIONS * RTSP/1.0\r\n\r\n" + early[:5]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    incoming, found = Incoming(), []
    for begin, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        incoming.feed(whole[begin:end])
        while (message := incoming.next()) is not None:
            found.append(message)
    assert [type(message) for message in found] == [Response, Request]
    assert found[0].body == b"body\r\n\r\n."
    assert incoming.rest() == early + early + early[:5]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"\xff\xfe\xfd\xfc",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 9999999\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 5000,
        b"RTSP/1.0 abc\r\n\r\n",
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    incoming = Incoming()
    incoming.feed(data)
    with pytest.raises(ValueError):
        incoming.next()


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    incoming = Incoming()
    incoming.feed(data)
    with contextlib.suppress(ValueError):
        while incoming.next() is not None:
            pass
    with contextlib.suppress(ValueError):
        parse_message(data)


# transports


def test_transports() -> None:
    assert parse_transport("RTP/AVP/TCP;unicast;interleaved=2-3;ssrc=1").channels == (2, 3)
    assert parse_transport("RTP/AVP/TCP;unicast;interleaved=4").channels == (4, 5)
    agreed = parse_transport("RTP/AVP;unicast;source=10.0.0.9;client_port=1-2;server_port=6970-6971, RTP/AVP")
    assert agreed == Transport(None, (6970, 6971), "10.0.0.9")
    assert parse_transport("") == Transport()


@pytest.mark.parametrize(
    "header", ["interleaved=x", "interleaved=255", "interleaved=1-300", "server_port=70000-70001"]
)
def test_transports_that_cannot_be(header: str) -> None:
    with pytest.raises(ValueError):
        parse_transport(header)
