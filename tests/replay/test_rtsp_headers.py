"""Header values: what is understood, and the status for what is not."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.replay.rtsp.headers import (
    Range,
    TransportWish,
    npt_text,
    parse_range,
    parse_rate,
    parse_transport,
)
from fovideo.replay.rtsp.message import RtspError
from fovideo.replay.rtsp.sdp import clock_text

S = 1_000_000_000
T_NS = 1_792_829_730 * S  # 2026-10-24T03:35:30Z
CLOCK = clock_text(T_NS)


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("RTP/AVP/TCP;unicast;interleaved=2-3", TransportWish(True, (2, 3))),
        ("RTP/AVP/TCP", TransportWish(True, None)),
        ("rtp/avp/tcp;interleaved=4", TransportWish(True, (4, 5))),
        ("RTP/AVP;unicast;client_port=5000-5001", TransportWish(False, (5000, 5001))),
        ("RTP/AVP/UDP;unicast;client_port=5000-5001;mode=play", TransportWish(False, (5000, 5001))),
        ('RTP/AVP;multicast, RTP/AVP/TCP;mode="PLAY"', TransportWish(True, None)),
    ],
)
def test_transports(text: str, wish: TransportWish) -> None:
    assert parse_transport(text) == wish


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "RTP/AVP",
        "RTP/AVP;multicast;client_port=5000-5001",
        "RTP/SAVP;unicast;client_port=5000-5001",
        "RTP/AVP;client_port=70000-70001",
        "RTP/AVP;client_port=0-1",
        "RTP/AVP/TCP;mode=record",
    ],
)
def test_transports_that_this_server_has_not(text: str) -> None:
    with pytest.raises(RtspError, match="461"):
        parse_transport(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("npt=0-", Range(False, 0, None)),
        ("npt=-5", Range(False, 0, 5 * S)),
        ("npt=now-", Range(False, None, None)),
        ("npt=1.5-2.25", Range(False, 1_500_000_000, 2_250_000_000)),
        ("npt=1:02:03.5-", Range(False, 3_723_500_000_000, None)),
        ("npt = 7 - ;time=19970123T143720Z", Range(False, 7 * S, None)),
        (f"clock={CLOCK}-", Range(True, T_NS, None)),
        (f"clock={CLOCK}-{clock_text(T_NS + S)}", Range(True, T_NS, T_NS + S)),
    ],
)
def test_ranges(text: str, wanted: Range) -> None:
    assert parse_range(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("", "=-", "npt", "npt=", "npt=5", "npt=x-", "npt=5-4", "npt=5-5", "npt=1:99:00-", "smpte=0:10:20-"),
        *("clock=now-", f"clock={CLOCK}-{CLOCK}", "clock=20261340T000000Z-", "clock=20261024T033530-"),
        "npt=" + "9" * 400 + "-",
    ],
)
def test_ranges_that_mean_nothing(text: str) -> None:
    with pytest.raises(RtspError, match="457"):
        parse_range(text)


@given(st.text(max_size=40))
def test_any_text_gives_a_range_or_a_status(text: str) -> None:
    for prefix in ("", "npt=", "clock="):
        with contextlib.suppress(RtspError):
            assert isinstance(parse_range(prefix + text), Range)


@given(st.integers(0, 10**16))
def test_what_is_written_is_read_back_to_the_precision_of_its_form(time_ns: int) -> None:
    written = parse_range(f"npt={npt_text(time_ns)}-")
    assert written.from_ns is not None
    assert abs(written.from_ns - time_ns) <= 500
    assert parse_range(f"clock={clock_text(time_ns)}-").from_ns == time_ns // 1_000_000 * 1_000_000


def test_rates() -> None:
    assert parse_rate({}, "scale") == 1
    assert parse_rate({"scale": "2.5"}, "scale") == Fraction(5, 2)
    for text in ("0", "-1", "x", "1e9", "nan", "inf", "1001", ""):
        with pytest.raises(RtspError, match="456"):
            parse_rate({"speed": text}, "speed")
