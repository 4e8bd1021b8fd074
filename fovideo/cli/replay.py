"""`fovideo replay`: any stretch of any stream, or a file, out to MP4 or over RTSP."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import rich_click as click

from fovideo.cli import params, peers
from fovideo.cli.output import errors, print_json
from fovideo.cli.peers import open_timeline
from fovideo.cli.stopping import stop_on_signal
from fovideo.errors import NoSuchStream, UsageError
from fovideo.timeline.endpoint import Timeline
from fovideo.times import format_ns


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed <= 1000:
        raise UsageError(f"not a speed: {text!r}", hint='a number such as 2 or 0.5, or "max"')
    return speed


SPEED = params.Parsed("speed", _speed)


@click.command("replay")
@click.argument("store")
@click.argument("name", required=False)
@params.stretch_options
@click.option("-o", "output", metavar="FILE.mp4", help="Write an MP4 file; - is stdout.")
@click.option(
    "--serve",
    metavar="rtsp://HOST:PORT/PATH",
    help="Serve it over RTSP until stopped; port 0 takes a free one.",
)
@click.option("--speed", type=SPEED, default="1", help='Serve N times as fast, or "max".  [default: 1]')
@click.option("--loop", is_flag=True, help="Serve it as a live camera that never ends.")
@click.option(
    "--mark",
    type=click.IntRange(0, 2**32 - 1),
    help="With --loop: number each frame in an SEI message, as camera N.",
)
@peers.options
@params.as_json
def command(
    store: str,
    name: str | None,
    from_ns: int | None,
    to_ns: int | None,
    output: str | None,
    serve: str | None,
    speed: float | None,
    loop: bool,
    mark: int | None,
    as_json: bool,
) -> int:
    """Play a stretch of stream NAME of STORE, or a video file (then without NAME), without re-encoding.

    -o writes a playable MP4; --serve is an RTSP server with Range: clock= and npt=, over TCP and UDP.
    """
    params.check_stretch(from_ns, to_ns)
    if (output is None) == (serve is None):
        raise UsageError("say where to: -o FILE.mp4 or --serve rtsp://HOST:PORT/PATH", hint="one of them")
    if mark is not None and not loop:
        raise UsageError("--mark goes with --loop")
    with ExitStack() as stack:
        if output is not None:
            if loop:
                raise UsageError("--loop goes with --serve")
            timeline, stream = _footage(stack, store, name)
            return _export(timeline, stream, from_ns, to_ns, output, as_json)
        assert serve is not None
        return _serve(stack, store, name, (from_ns, to_ns), serve, speed, loop, mark, as_json)


def _footage(stack: ExitStack, store: str, name: str | None) -> tuple[Timeline, str]:
    """The timeline and stream to play; a file is recorded into a store of its own first."""
    from fovideo.cli.footage import file_as_store, is_video_file

    if is_video_file(store):
        return stack.enter_context(file_as_store(Path(store))), "file"
    timeline = open_timeline(store)
    stack.callback(timeline.close)
    streams = [info.name for info in timeline.streams()]
    if name is None:
        if len(streams) != 1:
            raise UsageError(
                "say which stream", where=store, hint=f"streams here: {', '.join(streams) or 'none'}"
            )
        name = streams[0]
    if name not in streams:
        raise NoSuchStream(
            f"no stream {name!r}", where=store, hint=f"streams here: {', '.join(streams) or 'none'}"
        )
    return timeline, name


def _export(
    timeline: Timeline, stream: str, from_ns: int | None, to_ns: int | None, output: str, as_json: bool
) -> int:
    from fovideo.replay import export_mp4

    if output == "-" and sys.stdout.isatty():
        raise UsageError("video does not go to a terminal", hint="pipe it, or name a file")
    done = export_mp4(timeline, stream, from_ns, to_ns, sys.stdout.buffer if output == "-" else output)
    facts = {
        "output": output,
        "video_frames": done.video_frames,
        "audio_frames": done.audio_frames,
        "from": format_ns(done.start_ns),
        "to": format_ns(done.end_ns),
    }
    if output == "-":
        return 0
    if as_json:
        print_json(facts)
    else:
        errors.print(
            f"{output}: {done.video_frames} frames, {facts['from']} to {facts['to']}", highlight=False
        )
    return 0


def _serve(
    stack: ExitStack,
    store: str,
    name: str | None,
    stretch: tuple[int | None, int | None],
    address: str,
    speed: float | None,
    loop: bool,
    mark: int | None,
    as_json: bool,
) -> int:
    from fovideo.replay import LoopSource, RtspServer, TimelineSource

    host, port, path, user, password = _address(address)
    facts: dict[str, Any] = {}
    source: LoopSource | TimelineSource
    if loop:
        if speed is None:
            raise UsageError("a live camera has a speed", hint="a number instead of max")
        source = LoopSource(_clip(stack, store, name, stretch), marker=mark, speed=speed)
        facts = {"start_ns": source.start_ns, "fps": float(source.fps)}
    else:
        timeline, stream = _footage(stack, store, name)
        source = TimelineSource(timeline, stream, from_ns=stretch[0], to_ns=stretch[1], speed=speed)
    stop = stack.enter_context(stop_on_signal())
    server = stack.enter_context(RtspServer(host, port, user=user or None, password=password))
    url = server.add_stream(path, source)
    if as_json:
        print_json({"url": url, **facts})
    else:
        errors.print(f"serving {url}", highlight=False, markup=False)
    stop.wait()
    return 0


def _clip(stack: ExitStack, store: str, name: str | None, stretch: tuple[int | None, int | None]) -> str:
    """A file with the footage of a looped camera."""
    from fovideo.cli.footage import is_video_file, scratch_folder
    from fovideo.replay import export_mp4

    if is_video_file(store) and stretch == (None, None):
        return store
    timeline, stream = _footage(stack, store, name)
    path = stack.enter_context(scratch_folder()) / "clip.mp4"
    export_mp4(timeline, stream, *stretch, path)
    return str(path)


def _address(text: str) -> tuple[str, int, str, str, str]:
    """Host, port, path, user and password of an rtsp address to serve at."""
    parts = urlsplit(text)
    try:
        port = 8554 if parts.port is None else parts.port
    except ValueError:
        port = -1
    path = parts.path.strip("/")
    if parts.scheme != "rtsp" or not parts.hostname or port < 0 or not path:
        raise UsageError("not an address to serve at", hint="write it like rtsp://127.0.0.1:8554/cam0")
    return parts.hostname, port, path, parts.username or "", parts.password or ""
