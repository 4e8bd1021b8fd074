"""How a command runs a station: until told to stop, with reload on SIGHUP and word to the service manager."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

from fovideo.cli.output import errors, print_json
from fovideo.cli.stopping import stop_on_signal
from fovideo.errors import FovideoError
from fovideo.platform import ServiceManager
from fovideo.service.reload import Reloaded

_IDLE_S = 60.0


class Runs(Protocol):
    """A process of a site: a server, a spare, a management server."""

    name: str
    role: str

    @property
    def url(self) -> str: ...
    def reload_file(self, path: Path) -> Reloaded: ...
    def responds(self, timeout_s: float) -> bool: ...
    def __enter__(self) -> object: ...
    def __exit__(self, *_: object) -> None: ...


def run(station: Runs, site_file: Path, *, doing: str, as_json: bool) -> int:
    """Start the station, say where it answers, and keep it until SIGINT or SIGTERM. doing: for people.

    SIGHUP reads the site file again; a file that cannot be used changes nothing.
    """
    manager = ServiceManager()
    wake = threading.Event()
    with stop_on_signal(wake) as stop, _reload_on_signal(wake) as reload, station:
        if as_json:
            print_json({"name": station.name, "role": station.role, "url": station.url})
        else:
            errors.print(f"{station.name}: {doing}, {station.url}", markup=False, highlight=False)
        manager.ready(f"{doing}, {station.url}")
        _keep(station, site_file, manager, stop, reload, wake)
        manager.stopping()
    return 0


def _keep(
    station: Runs,
    site_file: Path,
    manager: ServiceManager,
    stop: threading.Event,
    reload: threading.Event,
    wake: threading.Event,
) -> None:
    """Until stopped. A reload has a thread of its own: cameras that leave take a moment."""
    pause_s = manager.watchdog_s / 3 or _IDLE_S
    reloading: threading.Thread | None = None
    while not stop.is_set():
        if manager.watchdog_s and station.responds(pause_s):
            manager.alive()
        if reload.is_set() and not (reloading and reloading.is_alive()):
            reload.clear()
            reloading = threading.Thread(
                target=_reload, args=(station, site_file, manager, wake), name="reload", daemon=True
            )
            reloading.start()
        wake.wait(pause_s)
        wake.clear()
    if reloading is not None:
        reloading.join()


def _reload(station: Runs, site_file: Path, manager: ServiceManager, wake: threading.Event) -> None:
    manager.reloading()
    try:
        done = station.reload_file(site_file)
    except FovideoError as error:
        errors.print(f"{station.name}: not reloaded: {error}", style="red", markup=False, highlight=False)
    else:
        errors.print(f"{station.name}: reloaded: {done}", markup=False, highlight=False)
    finally:
        manager.ready()
        wake.set()


@contextmanager
def _reload_on_signal(wake: threading.Event) -> Iterator[threading.Event]:
    """An event that SIGHUP sets, where there is such a signal."""
    asked = threading.Event()
    number = getattr(signal, "SIGHUP", None)
    if number is None:
        yield asked
        return

    def hang_up(number: int, frame: FrameType | None) -> None:
        asked.set()
        wake.set()

    before = signal.signal(number, hang_up)
    try:
        yield asked
    finally:
        signal.signal(number, before)
