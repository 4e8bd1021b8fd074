"""A generated clip where there is no footage: a moving pattern, the same for the same arguments."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from os import PathLike, fspath
from typing import Any, NamedTuple

import av
import numpy as np
import numpy.typing as npt

from fovideo.errors import UsageError

_VIDEO = {"h264": "libx264", "h265": "libx265"}
_AUDIO = {
    "aac": ("aac", 48_000),
    "opus": ("libopus", 48_000),
    "pcmu": ("pcm_mulaw", 8000),
    "pcma": ("pcm_alaw", 8000),
}
_TONE_HZ = 440


def make_clip(
    path: str | PathLike[str],
    codec: str = "h264",
    *,
    width: int = 320,
    height: int = 240,
    fps: Fraction | int = 25,
    seconds: float = 4.0,
    gop: int = 25,
    b_frames: int = 0,
    audio: str | None = None,
    seed: int = 0,
    bit_rate: int = 0,
) -> None:
    """Encode a clip. codec: "h264" or "h265"; audio: "aac", "opus", "pcmu", "pcma" or None.

    The container follows the suffix of `path`: .mp4 or .mkv for AAC and Opus, .mov for G.711.
    bit_rate: bits per second, 0 = constant quality.
    """
    if codec not in _VIDEO or (audio is not None and audio not in _AUDIO):
        raise UsageError(f"cannot make a clip of {codec} and {audio}")
    picture = _Picture(width, height, Fraction(fps), max(1, round(seconds * fps)), seed)
    try:
        _encode(
            fspath(path), _VIDEO[codec], _options(codec, gop, b_frames), picture, bit_rate, audio, seconds
        )
    except (ValueError, av.error.FFmpegError) as error:
        raise UsageError(f"cannot make this clip ({error})", where=fspath(path)) from None


class _Picture(NamedTuple):
    width: int
    height: int
    fps: Fraction
    frames: int
    seed: int


def _encode(
    path: str,
    encoder: str,
    options: dict[str, str],
    picture: _Picture,
    bit_rate: int,
    audio: str | None,
    seconds: float,
) -> None:
    with av.open(path, "w", options={"fflags": "+bitexact"}) as out:
        video: Any = out.add_stream(encoder, rate=picture.fps, options=options)
        video.width, video.height, video.pix_fmt = picture.width, picture.height, "yuv420p"
        if bit_rate:
            video.bit_rate = bit_rate
        video.codec_context.thread_count = 1
        sound: Any = out.add_stream(_AUDIO[audio][0], rate=_AUDIO[audio][1]) if audio else None
        if sound is not None:
            sound.layout = "mono"
        for number, planes in enumerate(_pictures(picture)):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / picture.fps
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound is not None:
            _sound(out, sound, _AUDIO[audio or ""][1], seconds)


def _options(codec: str, gop: int, b_frames: int) -> dict[str, str]:
    common = {
        "preset": "ultrafast",
        "g": str(gop),
        "keyint_min": str(gop),
        "sc_threshold": "0",
        "bf": str(b_frames),
    }
    if codec == "h264":
        return common | {"x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:b-adapt=0"}
    return common | {
        "x265-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:bframes={b_frames}:b-adapt=0"
        ":pools=none:frame-threads=1:log-level=none"
    }


def _pictures(picture: _Picture) -> Iterator[npt.NDArray[np.uint8]]:
    """Planar YUV 4:2:0: a drifting gradient with a square that circles, and a little noise."""
    width, height, _, frames, seed = picture
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    side = max(8, min(width, height) // 6)
    for number in range(frames):
        noise = random.integers(0, 6, (height, width))
        luma = (columns + 2 * rows + 3 * number + 40 * seed) % 200 + 20 + noise
        angle = 2 * np.pi * number / 50
        top = int((height - side) * (0.5 + 0.5 * np.sin(angle)))
        left = int((width - side) * (0.5 + 0.5 * np.cos(angle)))
        luma[top : top + side, left : left + side] = 235
        chroma = np.full((height // 2, width), 128 + 40 * np.sin(angle + seed))
        yield np.concatenate([luma, chroma]).astype(np.uint8)


def _sound(out: Any, stream: Any, rate: int, seconds: float) -> None:
    samples = np.arange(round(rate * seconds))
    wave = (8000 * np.sin(2 * np.pi * _TONE_HZ * samples / rate)).astype(np.int16)
    resampler = av.AudioResampler(stream.format, stream.layout, rate)
    step = rate // 50
    for at in range(0, len(wave), step):
        frame = av.AudioFrame.from_ndarray(wave[None, at : at + step], format="s16", layout="mono")
        frame.rate, frame.pts = rate, at
        for converted in resampler.resample(frame):
            out.mux(stream.encode(converted))
    out.mux(stream.encode(None))
