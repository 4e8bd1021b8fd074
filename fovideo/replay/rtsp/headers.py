"""Values of RTSP headers: Transport, Range, Scale and friends. Pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from fovideo.replay.rtsp.message import RtspError
from fovideo.times import NS_PER_S

_CLOCK = re.compile(r"(\d{8})T(\d{6})(?:\.(\d{1,9})\d*)?Z")
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{0,9})\d*)?")
_HMS = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2})(?:\.(\d{0,9})\d*)?")
_PAIR = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_NUMBER = re.compile(r"[+-]?\d{1,6}(\.\d{1,6})?")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


class TransportWish(NamedTuple):
    """A transport that a client can use. pair: channels or client ports; None = not stated (TCP)."""

    tcp: bool
    pair: tuple[int, int] | None


class Range(NamedTuple):
    """A Range header. clock: absolute times, else ns since the stream's beginning. from_ns None = "now"."""

    clock: bool
    from_ns: int | None
    to_ns: int | None


def parse_transport(text: str) -> TransportWish:
    """The first transport in the list that this server can use; RtspError 461 when there is none."""
    for wish in text.split(","):
        profile, *parameters = (part.strip() for part in wish.split(";"))
        named = {key.lower(): value for key, _, value in (each.partition("=") for each in parameters)}
        if "multicast" in named or named.get("mode", "play").strip('"').lower() != "play":
            continue
        match profile.upper():
            case "RTP/AVP/TCP":
                return TransportWish(True, _pair(named.get("interleaved", ""), 255))
            case "RTP/AVP" | "RTP/AVP/UDP" if pair := _pair(named.get("client_port", ""), 65535):
                if pair[0]:
                    return TransportWish(False, pair)
    raise RtspError(461)


def _pair(text: str, highest: int) -> tuple[int, int] | None:
    match = _PAIR.fullmatch(text)
    if match is None:
        return None
    first = int(match[1])
    second = int(match[2]) if match[2] else first + 1
    return (first, second) if first < second <= highest else None


def parse_range(text: str) -> Range:
    """A Range header in npt or clock units; RtspError 457 for anything else."""
    unit, _, rest = text.split(";")[0].strip().partition("=")
    first, dash, last = rest.strip().partition("-")
    if not dash:
        raise RtspError(457)
    first, last = first.strip(), last.strip()
    match unit.strip().lower():
        case "npt":
            from_ns = 0 if not first else None if first == "now" else _npt_ns(first)
            result = Range(False, from_ns, _npt_ns(last) if last else None)
        case "clock":
            result = Range(True, _clock_ns(first), _clock_ns(last) if last else None)
        case _:
            raise RtspError(457)
    if result.from_ns is not None and result.to_ns is not None and result.to_ns <= result.from_ns:
        raise RtspError(457)
    return result


def _npt_ns(text: str) -> int:
    if match := _SECONDS.fullmatch(text):
        return int(match[1]) * NS_PER_S + _fraction_ns(match[2])
    if match := _HMS.fullmatch(text):
        hours, minutes, seconds = (int(match[at]) for at in (1, 2, 3))
        if minutes < 60 and seconds < 60:
            return (hours * 3600 + minutes * 60 + seconds) * NS_PER_S + _fraction_ns(match[4])
    raise RtspError(457)


def _clock_ns(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if match is None:
        raise RtspError(457)
    try:
        delta = dt.datetime.strptime(f"{match[1]}{match[2]}+0000", "%Y%m%d%H%M%S%z") - _EPOCH
    except ValueError:
        raise RtspError(457) from None
    return (delta.days * 86400 + delta.seconds) * NS_PER_S + _fraction_ns(match[3])


def _fraction_ns(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))


def parse_rate(headers: Mapping[str, str], name: str) -> Fraction:
    """Scale or Speed, 1 when absent. RtspError 456 for what is no positive number up to 1000."""
    text = headers.get(name)
    if text is None:
        return Fraction(1)
    if not _NUMBER.fullmatch(text) or not 0 < (rate := Fraction(text)) <= 1000:
        raise RtspError(456)
    return rate


def npt_text(time_ns: int) -> str:
    """Seconds with µs."""
    micros = (time_ns + 500) // 1000
    return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"
