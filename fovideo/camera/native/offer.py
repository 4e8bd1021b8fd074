"""Which tracks of a described stream the native reader reads, and how. Pure."""

from __future__ import annotations

import binascii
from base64 import b64decode
from urllib.parse import urlsplit

import msgspec

from fovideo.camera import _native
from fovideo.camera.config import CameraConfig
from fovideo.camera.extradata import video_config
from fovideo.camera.native.sdp import Description, Medium
from fovideo.camera.tracks import opus_head
from fovideo.errors import UnsupportedStream
from fovideo.media.codec import AUDIO_TRACK, METADATA_TRACK, VIDEO_TRACK, Codec, Track
from fovideo.media.sps import video_size
from fovideo.times import NS_PER_S

_PROFILES = ("RTP/AVP", "RTP/AVPF", "RTP/AVP/UDP")
_VIDEO = {"h264": Codec.H264, "h265": Codec.H265}
_FORMS = {Codec.H264: _native.H264, Codec.H265: _native.H265}
_SETS = {
    Codec.H264: ("sprop-parameter-sets",),
    Codec.H265: ("sprop-vps", "sprop-sps", "sprop-pps"),
}
_PLAIN = {"pcmu": Codec.PCMU, "pcma": Codec.PCMA, "opus": Codec.OPUS}
_FRAME_TICKS = 1024
_MORE_AU_FIELDS = (
    "ctsdeltalength",
    "dtsdeltalength",
    "randomaccessindication",
    "streamstateindication",
    "auxiliarydatasizelength",
)


class NotServed(Exception):
    """A camera that the native reader leaves to libavformat; says why."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One track, ready to be set up.

    form, rate, payload_type, size_bits, index_bits, frame_ticks: as Flow.add_track wants them.
    control: of its SDP section. interval_ns: between frames, 0 = unknown.
    """

    track: Track
    form: int
    rate: int
    payload_type: int
    control: str
    interval_ns: int = 0
    size_bits: int = 13
    index_bits: int = 3
    frame_ticks: int = _FRAME_TICKS


def offers(description: Description, camera: CameraConfig) -> list[Offer]:
    """The tracks to record: the first of each kind that libavformat would record too.

    Raises NotServed when one of them needs libavformat, or when there is none.
    """
    found: dict[int, Offer] = {}
    for medium in description.media:
        if medium.kind == "video" and VIDEO_TRACK not in found:
            made = _video(medium)
        elif medium.kind == "audio" and camera.audio and AUDIO_TRACK not in found:
            made = _audio(medium)
        elif medium.kind == "application" and camera.metadata and METADATA_TRACK not in found:
            made = _metadata(medium)
        else:
            continue
        if made is not None:
            if medium.protocol not in _PROFILES:
                raise NotServed(f"{medium.kind} over {medium.protocol}")
            found[made.track.id] = made
    if not found:
        raise NotServed("no track that it knows")
    return [found[track] for track in sorted(found)]


def control_url(base: str, control: str) -> str:
    """URL of a control attribute. As cameras mean it: appended, whatever the base ends with."""
    if not control or control == "*":
        return base
    return control if urlsplit(control).scheme else f"{base.rstrip('/')}/{control.lstrip('/')}"


def _video(medium: Medium) -> Offer | None:
    codec = _VIDEO.get(medium.encoding)
    if codec is None:
        return None
    parameters = medium.parameters
    if codec is Codec.H264 and parameters.get("packetization-mode", "0") not in ("0", "1"):
        raise NotServed("H.264 in interleaved packetization")
    if any(_number(parameters.get(name, "")) for name in ("sprop-max-don-diff", "sprop-depack-buf-nalus")):
        raise NotServed("H.265 with decoding order numbers")
    sets = video_config(codec, _annexb(codec, parameters)).parameter_sets
    try:
        width, height = video_size(codec, sets)
    except UnsupportedStream:
        width = height = 0
    rate = medium.frame_rate
    return Offer(
        track=Track(id=VIDEO_TRACK, codec=codec, parameter_sets=sets, width=width, height=height),
        form=_FORMS[codec],
        rate=medium.rate or 90_000,
        payload_type=medium.payload_type,
        control=medium.control,
        interval_ns=round(NS_PER_S / rate) if 1 / 60 < rate < 1000 else 0,
    )


def _annexb(codec: Codec, parameters: dict[str, str]) -> bytes:
    """The parameter sets of an fmtp, as far as they can be read; those in the stream are looked at anyway."""
    sets = b""
    for text in ",".join(parameters.get(name, "") for name in _SETS[codec]).split(","):
        try:
            unit = b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        sets += b"\0\0\0\1" + unit if unit else b""
    return sets


def _audio(medium: Medium) -> Offer | None:
    if medium.encoding == "mp4a-latm":
        raise NotServed("AAC in LATM")
    if medium.encoding == "mpeg4-generic":
        return _aac(medium)
    codec = _PLAIN.get(medium.encoding)
    if codec is None:
        return None
    rate, channels = medium.rate or 8000, max(1, medium.channels)
    if codec is Codec.OPUS:
        rate = 48_000
    config = opus_head(channels) if codec is Codec.OPUS else b""
    track = Track(
        id=AUDIO_TRACK, codec=codec, timescale=rate, config=config, sample_rate=rate, channels=channels
    )
    return Offer(
        track=track,
        form=_native.PACKETS,
        rate=rate,
        payload_type=medium.payload_type,
        control=medium.control,
    )


def _aac(medium: Medium) -> Offer | None:
    parameters = medium.parameters
    try:
        config = bytes.fromhex(parameters.get("config", ""))
    except ValueError:
        config = b""
    size_bits = _number(parameters.get("sizelength", ""))
    index_bits = _number(parameters.get("indexlength", ""))
    if not config or not medium.rate:
        return None
    if (
        not parameters.get("mode", "").lower().startswith("aac")
        or not 1 <= size_bits <= 16
        or index_bits > 16
        or any(_number(parameters.get(name, "")) for name in _MORE_AU_FIELDS)
    ):
        raise NotServed("MPEG-4 audio in another mode than AAC-hbr and AAC-lbr")
    track = Track(
        id=AUDIO_TRACK,
        codec=Codec.AAC,
        timescale=medium.rate,
        config=config,
        sample_rate=medium.rate,
        channels=max(1, medium.channels),
    )
    return Offer(
        track=track,
        form=_native.AAC,
        rate=medium.rate,
        payload_type=medium.payload_type,
        control=medium.control,
        size_bits=size_bits,
        index_bits=index_bits,
        frame_ticks=_number(parameters.get("constantduration", "")) or _FRAME_TICKS,
    )


def _metadata(medium: Medium) -> Offer | None:
    if medium.encoding != "vnd.onvif.metadata":
        raise NotServed(f"application data ({medium.encoding or 'unnamed'})")
    return Offer(
        track=Track(id=METADATA_TRACK, codec=Codec.ONVIF),
        form=_native.DOCUMENTS,
        rate=medium.rate or 90_000,
        payload_type=medium.payload_type,
        control=medium.control,
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
