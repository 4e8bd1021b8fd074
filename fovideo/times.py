"""Times: integer nanoseconds since the Unix epoch inside, RFC 3339 in UTC at the surface."""

from __future__ import annotations

import datetime as dt
import re

from fovideo.errors import UsageError

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_RFC3339 = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d{2}:\d{2})")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|ns|s|m|h|d)")
_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
    "d": 86400 * NS_PER_S,
}
_SIZES: dict[str, int] = {"": 1}
for _power, _letter in enumerate("kmgt", 1):
    _SIZES |= {_letter: 1000**_power, _letter + "i": 1024**_power}
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def format_ns(time_ns: int) -> str:
    """RFC 3339 UTC text of a time in ns, with as many of 0, 3, 6 or 9 fraction digits as it needs."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    text = (_EPOCH + dt.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if rest_ns == 0:
        return text + "Z"
    digits = f"{rest_ns:09d}"
    for keep in (3, 6):
        if not digits[keep:].strip("0"):
            digits = digits[:keep]
            break
    return f"{text}.{digits}Z"


def format_ms(time_ns: int) -> str:
    """The same to the nearest ms, for people."""
    return format_ns((time_ns + NS_PER_MS // 2) // NS_PER_MS * NS_PER_MS)


def parse_ns(text: str) -> int:
    """Time in ns of an RFC 3339 text.

    Raises UsageError for anything else; a time without a zone is refused, since guessing one misfiles video.
    """
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"not an RFC 3339 time: {text!r}", hint="write it like 2026-11-22T08:30:00Z")
    day, clock, fraction, zone = match.groups()
    try:
        whole = dt.datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'zZ' else zone}")
    except ValueError as error:
        raise UsageError(f"not a time that exists: {text!r} ({error})") from None
    delta = whole - _EPOCH
    return (delta.days * 86400 + delta.seconds) * NS_PER_S + int((fraction or "").ljust(9, "0"))


def parse_duration_ns(text: str) -> int:
    """Duration in ns of a text such as "30s", "500ms", "1h30m" or a bare number of seconds."""
    plain = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        plain += "s"
    parts = _DURATION.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        raise UsageError(f"not a duration: {text!r}", hint="write it like 30s, 500ms or 1h30m")
    return sum(round(float(number) * _UNITS_NS[unit]) for number, unit in parts)


def format_duration(duration_ns: int) -> str:
    """Short text of a duration for people: "840 ms", "12.5 s", "3 min 20 s", "2 h 05 min", "3 d 04 h",
    "8.6 years".
    """
    if duration_ns < 0:
        return f"-{format_duration(-duration_ns)}"
    if duration_ns < NS_PER_S:
        return f"{duration_ns / NS_PER_MS:.0f} ms"
    seconds = duration_ns / NS_PER_S
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    if days < 730:
        return f"{days} d {hours:02d} h"
    return f"{days / 365.25:.1f} years"


def parse_bytes(text: str) -> int:
    """Number of bytes of a text such as "500GB", "64MiB" or "1000"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", text.strip().lower())
    if match is None:
        raise UsageError(f"not a size: {text!r}", hint="write it like 500GB or 64MiB")
    size = float(match[1]) * _SIZES[match[2] or ""]
    if 0 < size < 1:
        raise UsageError(f"less than a byte: {text!r}", hint="write it like 500GB or 64MiB")
    return round(size)


def format_bytes(size_bytes: int) -> str:
    """Short text of a size for people, in powers of ten."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
