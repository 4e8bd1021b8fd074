"""Video files where commands expect a stream: a file becomes a store for as long as it is needed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fovideo.camera.config import CameraConfig
from fovideo.camera.state import CameraState
from fovideo.cli.output import warn
from fovideo.errors import CameraBroken
from fovideo.record import Event, Recorder, StateChanged
from fovideo.store import Store


def is_video_file(location: str) -> bool:
    """Whether a location is a file on this machine (a store is a folder)."""
    return Path(location).is_file()


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="fovideo-") as folder:
        yield Path(folder)


@contextmanager
def file_as_store(path: Path) -> Iterator[Store]:
    """A store with one stream, "file", that holds the footage of a video file."""
    over = threading.Event()
    trouble: list[str] = []

    def on_event(event: Event) -> None:
        if isinstance(event, StateChanged) and event.state not in (CameraState.CONNECTING, CameraState.LIVE):
            if event.error:
                trouble.append(event.error)
            over.set()

    with scratch_folder() as folder, Store.open(folder / "store", write=True, create=True) as store:
        with Recorder(store, name="file", on_event=on_event) as recorder:
            recorder.add(CameraConfig(name="file", url=str(path)))
            over.wait()
        if not store.streams():
            raise CameraBroken(
                trouble[0] if trouble else "holds no video", where="" if trouble else str(path)
            )
        if trouble:
            warn(trouble[0])
        yield store
