"""Footage that lies elsewhere as a timeline: a file, or a camera's own recording over RTSP replay.

It is recorded into a store of its own first, as any camera is, so that every frame has its digest, its time
and its origin; that store is the source of a merge. Its session is named by what it is, so that the same
footage is known when it is merged again.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fovideo.camera import CameraConfig, CameraState
from fovideo.errors import CameraBroken, CameraError, UsageError
from fovideo.media.frames import Clock
from fovideo.media.nal import xxh64
from fovideo.merge import merge
from fovideo.record.events import Event, StateChanged
from fovideo.record.recorder import Recorder
from fovideo.segment import decode_table
from fovideo.store import Store
from fovideo.timeline.endpoint import Timeline
from fovideo.timeline.shifted import Shifted
from fovideo.times import NS_PER_S

_SILENCE_NS = 10 * NS_PER_S
_OVERLAP_NS = 2 * NS_PER_S  # frames that are shown later come earlier
_NEVER_NS = 3600 * NS_PER_S


@contextmanager
def file_footage(
    path: Path,
    stream: str,
    *,
    at_ns: int | None,
    folder: Path | None = None,
    on_trouble: Callable[[str], None] | None = None,
) -> Iterator[Timeline]:
    """A timeline with one stream, that holds the footage of a video file.

    at_ns: when its first frame was taken; None = the file says it. folder: where the footage is kept
    meanwhile, None = the system's. Raises CameraError for a file that cannot be read, UsageError if it does
    not say its time. If its end is missing, what can be read is there, and on_trouble is told.
    """
    if not path.is_file():
        raise UsageError("no such file", where=str(path))
    with _scratch(folder) as store:
        clock, trouble = _record(store, CameraConfig(name=stream, url=str(path), file_start_ns=at_ns or 0))
        if not store.streams():
            raise CameraBroken(trouble or "holds no video", where="" if trouble else str(path))
        if at_ns is None and clock is not Clock.CONTAINER:
            raise UsageError("the file does not say when it was recorded", where=str(path), hint="give --at")
        if trouble and on_trouble is not None:
            on_trouble(trouble)
        first, start_ns = store.gops(stream)[0], store.streams()[0].start_ns
        began = decode_table(first.table)
        session = _session(began["digest"].tobytes() + began["time_ns"].tobytes())
        yield Shifted(store, 0 if at_ns is None else at_ns - start_ns, session)


@contextmanager
def replayed_footage(
    url: str,
    stream: str,
    *,
    from_ns: int,
    to_ns: int,
    folder: Path | None = None,
    on_retry: Callable[[str], None],
) -> Iterator[Timeline]:
    """A timeline with one stream: what a camera (or any ONVIF Profile G recorder) holds of [from_ns, to_ns),
    asked for with RTSP's Range: clock=.

    A connection that is cut is taken up again where it was; on_retry is told why. Raises CameraError.
    """
    with _scratch(folder) as store:
        reached_ns = begin_ns = from_ns
        while True:
            camera = CameraConfig(
                name=stream,
                url=url,
                ingest="native",
                freeze_ns=_SILENCE_NS,
                backoff_min_ns=_NEVER_NS,
                backoff_max_ns=_NEVER_NS,
                replay_from_ns=begin_ns,
                replay_to_ns=to_ns,
            )
            end_ns, trouble = _replay(store, camera, folder)
            if not trouble:
                break
            if not store.streams():
                raise CameraError(trouble)
            on_retry(trouble)
            if end_ns <= reached_ns:
                break  # it does not get further: the report of the merge says what is missing
            reached_ns, begin_ns = end_ns, max(begin_ns, end_ns - _OVERLAP_NS)
        yield Shifted(store, 0, _session(camera.source.encode()))


def _session(known_by: bytes) -> str:
    return f"{xxh64(known_by):016x}"


def _replay(store: Store, camera: CameraConfig, folder: Path | None) -> tuple[int, str]:
    """One connection's worth, added to the store. Returns how far it came, and what ended it.

    It begins at a keyframe before the time that is asked for, so what two connections bring overlaps.
    """
    with _scratch(folder) as found:
        clock, trouble = _record(found, camera)
        infos = found.streams()
        if not infos:
            return 0, trouble
        if clock is not Clock.SENDER_REPORT:
            raise CameraError("its replay does not say when its frames were taken", where=camera.source)
        merge(found, store)
        return infos[0].end_ns, trouble


@contextmanager
def _scratch(folder: Path | None) -> Iterator[Store]:
    with (
        tempfile.TemporaryDirectory(prefix="fovideo-", dir=folder) as made,
        Store.open(Path(made) / "store", write=True, create=True) as store,
    ):
        yield store


def _record(store: Store, camera: CameraConfig) -> tuple[Clock | None, str]:
    """Record it to its end. Returns the clock of its times, and what went wrong, "" if nothing did."""
    over = threading.Event()
    trouble = ""

    def on_event(event: Event) -> None:
        nonlocal trouble
        if isinstance(event, StateChanged) and event.state not in (CameraState.CONNECTING, CameraState.LIVE):
            if not over.is_set() and event.error and event.state is not CameraState.ENDED:
                trouble = event.error
            over.set()

    with Recorder(store, name="edge", on_event=on_event) as recorder:
        recorder.add(camera)
        over.wait()
        recorder.flush(timeout_s=60)
        clock = recorder.status()[camera.name].clock
    return clock, trouble
