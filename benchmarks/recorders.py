"""The recorders that are measured: how each is started for a number of cameras. One context each."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cameras import Cameras

_FRAGMENTED = "movflags=+frag_keyframe+empty_moov+default_base_moof"


@contextmanager
def _running(commands: list[list[str]], cwd: Path) -> Iterator[list[int]]:
    log = (cwd / "log").open("wb")
    processes = [subprocess.Popen(command, cwd=cwd, stdout=log, stderr=log) for command in commands]
    try:
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(120)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        log.close()


def fovideo(cameras: Cameras, count: int, folder: Path, *options: str):  # type: ignore[no-untyped-def]
    """`fovideo record` of this checkout, one process. options: after the subcommand."""
    root = Path(__file__).resolve().parent.parent
    launch = f"import sys; sys.path.insert(0, {str(root)!r}); from fovideo.cli.main import main; main()"
    sources = [f"c{number}={cameras.url(number)}" for number in range(count)]
    command = [sys.executable, "-c", launch, "record", *options, str(folder / "store"), *sources]
    return _running([command], folder)


def ffmpeg(cameras: Cameras, count: int, folder: Path):  # type: ignore[no-untyped-def]
    """One ffmpeg -c copy a camera, into fragmented MP4 segments."""
    commands = []
    for number in range(count):
        reading = ["-rtsp_transport", "tcp", "-i", cameras.url(number), "-c", "copy"]
        writing = ["-f", "segment", "-segment_time", "600", "-segment_format", "mp4"]
        commands.append(
            [
                "ffmpeg",
                "-nostdin",
                "-v",
                "error",
                *reading,
                *writing,
                "-segment_format_options",
                _FRAGMENTED,
                f"{number}-%d.mp4",
            ]
        )
    return _running(commands, folder)


def motion(cameras: Cameras, count: int, folder: Path):  # type: ignore[no-untyped-def]
    """Debian's motion, pass-through, one process with a thread a camera."""
    shared = "daemon off\nwebcontrol_port 0\nmovie_passthrough on\nmovie_output on\n"
    shared += "emulate_motion on\npicture_output off\nmovie_filename %t\n"
    names = []
    for number in range(count):
        name = folder / f"camera{number}.conf"
        name.write_text(
            f"camera_id {number + 1}\nnetcam_url {cameras.url(number)}\ntarget_dir {folder}\n"
            "width 1280\nheight 720\n"
        )
        names.append(f"camera {name}\n")
    (folder / "motion.conf").write_text(shared + "".join(names))
    return _running([["motion", "-n", "-c", str(folder / "motion.conf")]], folder)


def mediamtx(cameras: Cameras, count: int, folder: Path):  # type: ignore[no-untyped-def]
    """MediaMTX with recording on, into fragmented MP4 segments; it serves nobody."""
    servers = ("rtsp", "rtmp", "hls", "webrtc", "srt", "api", "metrics", "pprof", "playback")
    settings = {
        **dict.fromkeys(servers, False),
        "pathDefaults": {
            "record": True,
            "recordFormat": "fmp4",
            "recordPath": f"{folder}/%path/%s-%f",
            "rtspTransport": "tcp",
        },
        "paths": {f"c{number}": {"source": cameras.url(number)} for number in range(count)},
    }
    (folder / "mediamtx.yml").write_text(json.dumps(settings))  # which is YAML, too
    return _running([[found("mediamtx") or "mediamtx", str(folder / "mediamtx.yml")]], folder)


def found(program: str) -> str | None:
    """Where a program is: on the path, or beside this interpreter."""
    return shutil.which(program) or shutil.which(program, path=str(Path(sys.prefix) / "bin"))


def has(program: str) -> bool:
    return found(program) is not None
