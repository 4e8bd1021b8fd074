"""RTSP framing: any cut of the stream gives the same messages; nothing that comes in breaks the reader."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.replay.rtsp.message import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_LINE_BYTES,
    Interleaved,
    Reader,
    Request,
    RtspError,
    encode_response,
)

OPTIONS = b"OPTIONS rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"

METHODS = st.sampled_from(["OPTIONS", "PLAY", "GET_PARAMETER", "X-9"])
URLS = st.sampled_from(["*", "rtsp://127.0.0.1:554/cam?x=1", "rtsp://[::1]/a%20b"])
VALUES = st.text(st.characters(codec="latin-1", exclude_categories=["Cc", "Zs", "Zl"]), max_size=20).map(
    str.strip
)
HEADERS = st.dictionaries(st.from_regex("[a-z][a-z0-9-]{0,10}", fullmatch=True), VALUES, max_size=5)


@st.composite
def messages(draw: st.DrawFn) -> tuple[bytes, Request | Interleaved]:
    if draw(st.booleans()):
        channel, data = draw(st.integers(0, 255)), draw(st.binary(max_size=60))
        return bytes((0x24, channel)) + len(data).to_bytes(2, "big") + data, Interleaved(channel, data)
    method, url, body = draw(METHODS), draw(URLS), draw(st.binary(max_size=60))
    headers = {name: value for name, value in draw(HEADERS).items() if name != "content-length"}
    if body:
        headers["content-length"] = str(len(body))
    end = draw(st.sampled_from(["\r\n", "\n"]))
    head = f"{method} {url} RTSP/1.0{end}" + "".join(
        f"{name}: {value}{end}" for name, value in headers.items()
    )
    return (head + end).encode("latin-1") + body, Request(method, url, headers, body)


@given(st.lists(messages(), max_size=6), st.data())
def test_messages_come_back_however_the_stream_is_cut(
    sent: list[tuple[bytes, Request | Interleaved]], data: st.DataObject
) -> None:
    stream = b"".join(raw for raw, _ in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    reader, got = Reader(), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += reader.feed(stream[begin:end])
    assert got == [message for _, message in sent]


PIECES = st.sampled_from(
    [
        *(
            b"$",
            b"$\x00\x00\x04",
            b"\r\n",
            b"\r\n\r\n",
            b"OPTIONS",
            b" ",
            b"rtsp://h/x",
            b"RTSP/1.0",
            b"CSeq: 1",
        ),
        *(b":", b"Content-Length: 5", b"Content-Length: -1", b"\x00", b"\xff" * 9, OPTIONS),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=30), max_size=30))
def test_garbage_gives_messages_or_a_status_and_nothing_else(pieces: list[bytes]) -> None:
    reader = Reader()
    got: list[Request | Interleaved] = []
    with contextlib.suppress(RtspError):
        for piece in pieces:
            got += reader.feed(piece)
    assert all(isinstance(message, Request | Interleaved) for message in got)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\n\n", 400),
        (b"RTSP/1.0 200 OK\r\n\r\n", 400),
        (b"OPTIONS * RTSP/2.0\r\n\r\n", 505),
        (b"OPTIONS * RTSP/1.0\r\nno colon\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nbad name: x\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: x\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nRequire: a\rX: b\r\n\r\n", 400),
        (b"OPTIONS * RTSP/1.0\r\nContent-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), 413),
        (b"OPTIONS " + b"x" * MAX_LINE_BYTES + b" RTSP/1.0\r\n\r\n", 414),
        (b"x" * (MAX_LINE_BYTES + 1), 414),
        (b"OPTIONS * RTSP/1.0\r\n" + b"a: b\r\n" * MAX_HEAD_BYTES, 413),
        (b"OPTIONS * RTSP/1.0\r\n" + b"a: b\r\n" * (MAX_HEAD_BYTES // 6) + b"\r\n", 413),
    ],
)
def test_statuses_of_bad_input(raw: bytes, status: int) -> None:
    with pytest.raises(RtspError) as caught:
        list(Reader().feed(raw))
    assert (caught.value.status, caught.value.fatal) == (status, True)


def test_garbage_is_refused_at_its_first_line() -> None:
    with pytest.raises(RtspError):
        list(Reader().feed(b"hello there\n"))


def test_repeated_and_folded_headers() -> None:
    raw = b"PLAY * RTSP/1.0\r\nRequire: a\r\nRange: npt=0-\r\n\r\n".replace(
        b"\r\n\r\n", b"\r\nRequire: b\r\n c\r\n\r\n"
    )
    (message,) = Reader().feed(raw)
    assert isinstance(message, Request)
    assert message.headers == {"require": "a, b c", "range": "npt=0-"}


def test_blank_lines_between_messages_are_skipped() -> None:
    assert len(list(Reader().feed(b"\r\n\r\n" + OPTIONS + b"\r\n$\x01\x00\x00\r\n" + OPTIONS))) == 3


def test_responses() -> None:
    assert (
        encode_response(200, [("CSeq", "7")], b"ab")
        == b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 2\r\n\r\nab"
    )
