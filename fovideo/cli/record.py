"""`fovideo record`: cameras into a store."""

from __future__ import annotations

import platform
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import rich_click as click

from fovideo.camera.config import CameraConfig
from fovideo.camera.state import CameraState
from fovideo.cli import params, peers
from fovideo.cli.output import errors, out, print_json, warn
from fovideo.cli.params import is_url
from fovideo.cli.peers import open_timeline
from fovideo.cli.stopping import stop_on_signal
from fovideo.errors import CameraError, StoreError, UsageError
from fovideo.merge import merge
from fovideo.record import CameraStatus, Event, FramesLost, Recorder, StateChanged, StoreFailed
from fovideo.store import Store, StoreOptions
from fovideo.times import NS_PER_S, format_bytes

_TROUBLE = (
    CameraState.FROZEN,
    CameraState.UNREACHABLE,
    CameraState.UNAUTHORIZED,
    CameraState.BROKEN,
    CameraState.UNSUPPORTED,
)
_OVER = (CameraState.ENDED, CameraState.STOPPED)
_UPLOAD_S = 2.0


@click.command("record")
@click.argument("store")
@click.argument("cameras", metavar="NAME=URL...", nargs=-1, required=True)
@click.option(
    "--for", "for_ns", type=params.DURATION, help="Stop after this long, e.g. 30s; files end by themselves."
)
@click.option(
    "--name", default=None, help="Name of this recorder in the provenance.  [default: the host's name]"
)
@click.option(
    "--transport",
    type=click.Choice(["tcp", "udp"]),
    default="tcp",
    show_default=True,
    help="How RTP travels.",
)
@click.option(
    "--ingest",
    type=click.Choice(["pyav", "native"]),
    default="pyav",
    show_default=True,
    help="Who reads network cameras: libavformat, a thread each; or one event loop for all.",
)
@click.option("--user", default="", help="User for all cameras (password: FOVIDEO_CAMERA_PASSWORD).")
@click.option("--credentials", "credentials_file", default="", help="File whose first line is user:password.")
@click.option(
    "--durability",
    "durability_ns",
    type=params.DURATION,
    default=NS_PER_S,
    help="A crash loses at most this.  [default: 1s]",
)
@click.option(
    "--segment-size",
    "segment_bytes",
    type=params.SIZE,
    default=256 << 20,
    help="A new file at this size.  [default: 256MiB]",
)
@click.option(
    "--segment-duration",
    "segment_ns",
    type=params.DURATION,
    default=600 * NS_PER_S,
    help="A new file after this long.  [default: 10m]",
)
@click.option(
    "--memory",
    "memory_bytes",
    type=params.SIZE,
    default=0,
    help="For frames of all cameras that are not on disk yet.  [default: half of the machine's]",
)
@params.workers
@click.option("--keep-trying", is_flag=True, help="Go on although no camera delivers at the first attempt.")
@peers.options
@params.as_json
def command(
    store: str,
    cameras: tuple[str, ...],
    for_ns: int | None,
    name: str | None,
    transport: Literal["tcp", "udp"],
    ingest: Literal["pyav", "native"],
    user: str,
    credentials_file: str,
    durability_ns: int,
    segment_bytes: int,
    segment_ns: int,
    memory_bytes: int,
    workers: int | None,
    keep_trying: bool,
    as_json: bool,
) -> int:
    """Record cameras (RTSP addresses or video files) into STORE until stopped.

    STORE is made if it does not exist. A password belongs into --credentials or FOVIDEO_CAMERA_PASSWORD: in
    an address others can see it in the list of processes. Exit code 1 when a camera delivered nothing,
    frames were lost, or a file is cut short.
    """
    options = StoreOptions(
        durability_ns=durability_ns, segment_bytes=segment_bytes, segment_duration_ns=segment_ns
    )
    configs = [
        _camera(text, transport=transport, ingest=ingest, user=user, credentials_file=credentials_file)
        for text in cameras
    ]
    recorder_name = name or platform.node() or "record"
    with stop_on_signal() as stop:
        watch = _Watch({config.name for config in configs}, stop, keep_trying)
        try:
            with _local(store, options) as local:
                status = _record(
                    local, recorder_name, configs, watch, stop, for_ns, workers or 0, memory_bytes
                )
        except StoreError as error:
            if not watch.has_said(error):
                raise
            return error.exit_code
    watch.raise_failure(status)
    if as_json:
        print_json({"cameras": [_facts(each) for each in status.values()]})
    else:
        for each in status.values():
            size = format_bytes(each.written_bytes)
            facts = f"{each.written_frames} frames of all tracks, {size}, {each.lost_frames} lost"
            out.print(f"{each.camera}: {facts}", highlight=False, markup=False)
    return 0 if all(_is_whole(each) for each in status.values()) else 1


def _record(
    store: Store,
    name: str,
    configs: list[CameraConfig],
    watch: _Watch,
    stop: threading.Event,
    for_ns: int | None,
    workers: int,
    memory_bytes: int,
) -> dict[str, CameraStatus]:
    """Record until told to stop, or for so long; how each camera did."""
    durability_ns = store.options.durability_ns
    with Recorder(
        store,
        name=name,
        durability_ns=durability_ns,
        on_event=watch.on_event,
        workers=workers,
        memory_bytes=memory_bytes,
    ) as recorder:
        for config in configs:
            recorder.add(config)
        stop.wait(None if for_ns is None else for_ns / NS_PER_S)
        recorder.flush(timeout_s=10)
        before = recorder.status()
    return {
        name: msgspec.structs.replace(each, state=before[name].state, error=before[name].error)
        for name, each in recorder.status().items()
    }


def _is_whole(each: CameraStatus) -> bool:
    cut_short = each.state is CameraState.ENDED and each.error
    return bool(each.written_frames and not each.lost_frames and not cut_short)


class _Watch:
    """Says once what goes wrong, and stops the recording when all cameras ended, or none ever worked."""

    def __init__(self, cameras: set[str], stop: threading.Event, keep_trying: bool) -> None:
        self._open, self._failed = set(cameras), set[str]()
        self._stop, self._keep_trying = stop, keep_trying
        self._lock = threading.Lock()
        self._errors: dict[str, str] = {}
        self._delivered = False
        self._store_error = ""

    def has_said(self, error: StoreError) -> bool:
        """Whether the user was told of this while it recorded."""
        return str(error) == self._store_error

    def on_event(self, event: Event) -> None:
        with self._lock:
            if isinstance(event, StateChanged):
                self._on_state(event)
            elif isinstance(event, FramesLost):
                warn(f"{event.camera}: {event.loss.frames} frames lost ({event.loss.reason})")
            elif isinstance(event, StoreFailed):
                self._store_error = event.error
                warn(f"the store takes nothing: {event.error}")

    def _on_state(self, event: StateChanged) -> None:
        if event.state is CameraState.LIVE:
            self._delivered = True
            self._errors.pop(event.camera, None)
        elif event.state in _TROUBLE:
            if self._errors.get(event.camera) != event.error:
                self._errors[event.camera] = event.error
                if self._delivered or self._keep_trying or len(self._open) > 1:
                    warn(event.error)
            self._failed.add(event.camera)
        elif event.state in _OVER:
            self._open.discard(event.camera)
            if event.error:
                warn(event.error)
        nothing_works = not self._delivered and not self._keep_trying and self._failed >= self._open
        if not self._open or nothing_works:
            self._stop.set()

    def raise_failure(self, status: dict[str, CameraStatus]) -> None:
        """CameraError if nothing was ever received."""
        if not any(each.frames for each in status.values()) and self._errors:
            if len(self._errors) == 1:
                raise CameraError(next(iter(self._errors.values())))
            raise CameraError("no camera delivers", hint="see above")


def _camera(text: str, **settings: Any) -> CameraConfig:
    """A camera as the command line has it. settings: of CameraConfig."""
    name, equals, url = text.partition("=")
    if not equals or not url:
        raise UsageError("a camera is written NAME=URL", hint="for example gate=rtsp://10.0.0.7/stream1")
    config = CameraConfig(name=name, url=url, **settings)
    if config.is_file and not config.path.exists():
        raise CameraError("no such file", where=config.source, hint="check the path")
    return config


@contextmanager
def _local(location: str, options: StoreOptions) -> Iterator[Store]:
    """The store to record into. For a server's URL: a spool that is merged into the server as it grows."""
    if not is_url(location):
        with Store.open(location, write=True, create=True, options=options) as store:
            yield store
        return
    with closing(open_timeline(location, write=True)) as server:
        server.streams()  # refuses now, not after the recording
        spool = Path(tempfile.mkdtemp(prefix="fovideo-spool-"))
        done = threading.Event()
        with Store.open(spool, write=True, create=True, options=options) as store:

            def upload() -> None:
                while not done.wait(_UPLOAD_S):
                    try:
                        merge(store, server)
                    except Exception as error:
                        warn(f"not uploaded yet: {error}")

            uploader = threading.Thread(target=upload, name="upload", daemon=True)
            uploader.start()
            try:
                yield store
            finally:
                done.set()
                uploader.join()
                errors.print(f"uploading what is left of {spool}", style="dim", highlight=False)
                merge(store, server)
        _remove(spool)


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def _facts(each: CameraStatus) -> dict[str, Any]:
    return {
        "name": each.camera,
        "state": each.state.value,
        "frames": each.written_frames,
        "bytes": each.written_bytes,
        "lost_frames": each.lost_frames,
        "sessions": each.sessions,
        "error": each.error,
    }
