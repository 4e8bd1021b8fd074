"""One session with a camera: reach it, open it, deliver, close.

The session belongs to the thread that runs it; `interrupt` and `check` may be called by others.
"""

from __future__ import annotations

import threading

from av.container import InputContainer

from fovideo.camera.assignment import Assignment
from fovideo.camera.delivery import Delivery
from fovideo.camera.interrupt import can_interrupt, interrupt
from fovideo.camera.open import Opened, open_camera
from fovideo.camera.reach import reach
from fovideo.camera.translate import SILENT, translated
from fovideo.errors import CameraError, CameraFrozen, CameraUnreachable


class Session:
    """One connection to a camera, from opening to its end."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment, self._camera = assignment, assignment.camera
        self._stopping, self._clocks = assignment.stopping, assignment.clocks
        self._lock = threading.Lock()
        self._container: InputContainer | None = None
        self._opened_ns = 0
        self._silent = False

    def run(self) -> None:
        """Deliver until the file ends or the session is stopped. Raises CameraError for everything else."""
        if not self._camera.is_file:
            reach(
                self._camera,
                stopping=self._stopping.is_set,
                timeout_ns=self._camera.open_timeout_ns,
                now_ns=self._clocks.monotonic_ns,
            )
            if self._stopping.is_set():
                return
        opened, interruptible = self._open()
        delivery = Delivery(self._assignment, opened)
        self._opened_ns = self._clocks.monotonic_ns()
        try:
            if interruptible:
                with self._lock:
                    self._container = opened.container
            if not self._stopping.is_set():
                with translated(self._camera, opening=False):
                    delivery.run()
        except CameraError:
            # What libavformat says after an interruption is anything.
            if not self._stopping.is_set() and not self._silent:
                raise
        finally:
            with self._lock:
                self._container = None
            opened.container.close()
            delivery.end()
        if self._stopping.is_set() or self._camera.is_file:
            return
        if self._silent:
            raise CameraFrozen(SILENT, where=self._camera.source)
        raise CameraUnreachable("the camera ended the stream", where=self._camera.source)

    def interrupt(self) -> None:
        """Make a blocked read return, if it can be. Any thread."""
        with self._lock:
            if self._container is not None:
                interrupt(self._container)

    def check(self, now_ns: int) -> None:
        """Interrupt the session if it has been silent for too long. Any thread, a few times a second."""
        if self._camera.is_file or not self._opened_ns:
            return
        if now_ns - max(self._opened_ns, self._assignment.counters.last_receipt_ns) > self._camera.freeze_ns:
            self._silent = True
            self.interrupt()

    def sync(self) -> int:
        """The counters are always up to date. What libavformat lost is not known: 0."""
        return 0

    def _open(self) -> tuple[Opened, bool]:
        """The open camera, and whether its reads can be interrupted."""
        opened = open_camera(self._camera, now_ns=self._clocks.monotonic_ns)
        if self._camera.is_file or can_interrupt(opened.container):
            return opened, not self._camera.is_file
        opened.container.close()
        opened = open_camera(
            self._camera, read_timeout_ns=self._camera.freeze_ns, now_ns=self._clocks.monotonic_ns
        )
        return opened, False
