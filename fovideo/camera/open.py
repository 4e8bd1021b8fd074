"""Opening a camera with libavformat, so that it delivers at once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import av
import msgspec
from av.container import InputContainer

from fovideo.camera.config import CameraConfig
from fovideo.camera.tracks import SourceTrack, source_tracks
from fovideo.camera.translate import translated
from fovideo.errors import UnsupportedStream, UsageError
from fovideo.times import NS_PER_S, parse_ns

_UDP_BUFFER_BYTES = 4 << 20  # a keyframe comes as one burst; the system may grant less
_GEN_PTS = 1  # AVFMT_FLAG_GENPTS


class Opened(msgspec.Struct, frozen=True):
    """An open camera. The container belongs to the thread that opened it.

    container_start_ns: wall clock at pts 0 that a file's container states, or None.
    """

    container: InputContainer
    tracks: list[SourceTrack]
    container_start_ns: int | None


def open_camera(
    camera: CameraConfig,
    *,
    read_timeout_ns: int | None = None,
    now_ns: Callable[[], int] = time.monotonic_ns,
) -> Opened:
    """Connect, describe, set up and play; returns within about open_timeout_ns.

    No packet is lost to probing: what libavformat reads to learn about the streams is delivered all the same.
    read_timeout_ns: let libavformat give up a silent read; costs the interpreter lock on each poll, so None
        where a blocked read can be interrupted (fovideo.camera.interrupt).
    Raises CameraUnreachable, CameraUnauthorized, CameraBroken or UnsupportedStream; ConfigError for
    credentials.
    """
    timeouts = (camera.open_timeout_ns / NS_PER_S, read_timeout_ns and read_timeout_ns / NS_PER_S)
    deadline_ns = now_ns() + camera.open_timeout_ns
    with translated(camera, opening=True, late=lambda: now_ns() >= deadline_ns):
        container = av.open(camera.open_url(), options=options(camera), timeout=timeouts)
    try:
        container.flags &= ~_GEN_PTS  # it holds packets back to guess times
        tracks = source_tracks(container, audio=camera.audio, metadata=camera.metadata, source=camera.source)
        if not tracks:
            kinds = sorted({_kind(stream) for stream in container.streams})
            raise UnsupportedStream(
                f"nothing to record in it: {', '.join(kinds) or 'no streams'}",
                where=camera.source,
                hint="H.264, H.265, AAC, G.711, Opus and ONVIF metadata are recorded",
            )
        return Opened(container, tracks, _file_start_ns(container, camera) if camera.is_file else None)
    except BaseException:
        container.close()
        raise


def options(camera: CameraConfig) -> dict[str, str]:
    """libavformat's options for this camera."""
    if camera.is_file:
        return {}
    more = {"buffer_size": str(_UDP_BUFFER_BYTES)} if camera.transport == "udp" else {}
    if camera.tls_ca_file:
        more |= {"tls_verify": "1", "ca_file": camera.tls_ca_file}
    kinds = ["video", "audio" if camera.audio else "", "data" if camera.metadata else ""]
    return {
        "rtsp_transport": camera.transport,
        "allowed_media_types": "+".join(filter(None, kinds)),
        # The SDP describes the streams: look at no more than one packet, or opening takes seconds.
        "probesize": "32",
        "analyzeduration": "1",
        "fpsprobesize": "0",
    } | more


def _kind(stream: object) -> str:
    context = getattr(stream, "codec_context", None)
    name = getattr(context, "name", None) or "unknown codec"
    return f"{getattr(stream, 'type', 'unknown')} ({name})"


def _file_start_ns(container: InputContainer, camera: CameraConfig) -> int | None:
    """Wall clock of pts 0 of a file: as it was told, else what the demuxer worked out, else the creation time
    in its metadata.
    """
    if camera.file_start_ns:
        return camera.file_start_ns - int(container.start_time or 0) * 1000
    if container.start_time_realtime:
        return int(container.start_time_realtime) * 1000 - int(container.start_time or 0) * 1000
    text = container.metadata.get("creation_time", "")
    if not text:
        return None
    with contextlib.suppress(UsageError):
        start_ns = parse_ns(text)
        return start_ns if start_ns > 0 else None
    return None
