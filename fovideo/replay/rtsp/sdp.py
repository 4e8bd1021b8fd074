"""Session descriptions (RFC 4566) of tracks. Pure."""

from __future__ import annotations

import datetime as dt
from base64 import b64encode
from collections.abc import Sequence

from fovideo.media.codec import Codec, Track
from fovideo.times import NS_PER_S

_DYNAMIC_TYPE = {1: 96, 2: 97, 3: 107}
_STATIC_TYPE = {Codec.PCMU: 0, Codec.PCMA: 8}


def payload_type(track: Track) -> int:
    """RTP payload type: static where there is one, else one number per kind of track."""
    if track.codec in _STATIC_TYPE and track.sample_rate == 8000 and track.channels == 1:
        return _STATIC_TYPE[track.codec]
    return _DYNAMIC_TYPE[track.id]


def clock_rate(track: Track) -> int:
    """RTP clock rate in Hz."""
    if track.codec is Codec.OPUS:
        return 48_000
    return track.sample_rate if track.codec.is_audio else 90_000


def control(track: Track) -> str:
    """Last part of the track's control URL."""
    return f"trackID={track.id}"


def describe(
    name: str, host: str, tracks: Sequence[Track], extent: tuple[int, int] | None, session: int
) -> str:
    """Session description. extent: [from, to) of recorded time in ns, None = live. session: for o=."""
    lines = [
        "v=0",
        f"o=- {session} {session} IN {'IP6' if ':' in host else 'IP4'} {host}",
        f"s={name}",
        f"c=IN {'IP6 ::' if ':' in host else 'IP4 0.0.0.0'}",
        "t=0 0",
        "a=tool:fovideo",
        "a=control:*",
    ]
    if extent is None:
        lines.append("a=range:npt=now-")
    else:
        lines.append(f"a=range:npt=0-{(extent[1] - extent[0]) / NS_PER_S:.3f}")
        lines.append(f"a=range:clock={clock_text(extent[0])}-{clock_text(extent[1])}")
    for track in tracks:
        lines += _media(track)
    return "\r\n".join(lines) + "\r\n"


def clock_text(time_ns: int) -> str:
    """UTC time in the form of RFC 2326, section 3.7, with ms."""
    seconds, rest_ns = divmod(time_ns, NS_PER_S)
    when = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
    return f"{when:%Y%m%dT%H%M%S}.{rest_ns // 1_000_000:03d}Z"


def _media(track: Track) -> list[str]:
    kind = "video" if track.codec.is_video else "audio" if track.codec.is_audio else "application"
    number = payload_type(track)
    lines = [f"m={kind} 0 RTP/AVP {number}", f"a=rtpmap:{number} {_encoding(track)}"]
    if parameters := _parameters(track):
        lines.append(f"a=fmtp:{number} {parameters}")
    if track.width and track.height:
        lines.append(f"a=x-dimensions:{track.width},{track.height}")
    lines.append("a=recvonly")  # as the client sees it; "sendonly" is a track that it may speak on (ONVIF)
    lines.append(f"a=control:{control(track)}")
    return lines


def _encoding(track: Track) -> str:
    rate = clock_rate(track)
    match track.codec:
        case Codec.H264 | Codec.H265:
            return f"{track.codec.name}/{rate}"
        case Codec.AAC:
            return f"mpeg4-generic/{rate}/{track.channels}"
        case Codec.OPUS:
            return "opus/48000/2"  # RFC 7587: always so
        case Codec.PCMU | Codec.PCMA:
            return f"{track.codec.name}/{rate}" + (f"/{track.channels}" if track.channels > 1 else "")
        case _:
            return "vnd.onvif.metadata/90000"


def _parameters(track: Track) -> str:
    match track.codec:
        case Codec.H264:
            return _h264(track.parameter_sets)
        case Codec.H265:
            return _h265(track.parameter_sets)
        case Codec.AAC:
            return (
                "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
                f"config={track.config.hex()}"
            )
        case Codec.OPUS:
            return f"sprop-stereo={int(track.channels > 1)}"
        case _:
            return ""


def _h264(sets: Sequence[bytes]) -> str:
    text = "packetization-mode=1"
    sps = next((nal for nal in sets if nal and nal[0] & 0x1F == 7 and len(nal) >= 4), None)
    if sps is not None:
        text += f";profile-level-id={sps[1:4].hex()};sprop-parameter-sets={_base64(sets)}"
    return text


def _h265(sets: Sequence[bytes]) -> str:
    by_kind = {name: [nal for nal in sets if nal and nal[0] >> 1 & 0x3F == kind] for name, kind in _H265_SETS}
    return ";".join(f"sprop-{name}={_base64(nals)}" for name, nals in by_kind.items() if nals)


_H265_SETS = (("vps", 32), ("sps", 33), ("pps", 34))


def _base64(nals: Sequence[bytes]) -> str:
    return ",".join(b64encode(nal).decode() for nal in nals)
