"""One session with a camera: reach it, open it, deliver, close.

The session belongs to the thread that runs it; `interrupt` and `check` may be called by others.
"""

from __future__ import annotations

import threading

from av.container import InputContainer

from fovideo.camera._connection import Connection
from fovideo.camera.assignment import Assignment
from fovideo.camera.delivery import Delivery
from fovideo.camera.demux import can_demux
from fovideo.camera.interrupt import can_interrupt, interrupt
from fovideo.camera.open import Opened, open_camera, open_with_pyav
from fovideo.camera.reach import reach
from fovideo.camera.translate import SILENT, translated
from fovideo.errors import CameraError, CameraFrozen, CameraUnreachable


class Session:
    """One connection to a camera, from opening to its end."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment, self._camera = assignment, assignment.camera
        self._stopping, self._clocks = assignment.stopping, assignment.clocks
        self._lock = threading.Lock()
        self._source: Connection | InputContainer | None = None  # while it can be interrupted
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
        opened = self._open()
        delivery = Delivery(self._assignment, opened)
        self._opened_ns = self._clocks.monotonic_ns()
        try:
            if not self._stopping.is_set():
                with translated(self._camera, opening=False, late=lambda: _is_late(opened)):
                    delivery.run()
        except CameraError:
            # What libavformat says after an interruption is anything.
            if not self._stopping.is_set() and not self._silent:
                raise
        finally:
            self._may_interrupt(None)
            opened.source.close()
            delivery.end()
        if self._stopping.is_set() or self._camera.is_file:
            return
        if self._silent:
            raise CameraFrozen(SILENT, where=self._camera.source)
        raise CameraUnreachable("the camera ended the stream", where=self._camera.source)

    def interrupt(self) -> None:
        """Make what is waited for fail, if it can be. Any thread."""
        with self._lock:
            if isinstance(self._source, Connection):
                self._source.interrupt()
            elif self._source is not None:
                interrupt(self._source)

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

    def _may_interrupt(self, source: Connection | InputContainer | None) -> None:
        with self._lock:
            self._source = source

    def _open(self) -> Opened:
        """The open camera, which can be interrupted from now on if that can be done."""
        if self._camera.is_file or not can_demux():
            return self._open_with_pyav()
        connection = Connection()
        self._may_interrupt(connection)
        try:
            if self._stopping.is_set():  # before it could be interrupted
                connection.interrupt()
            return open_camera(self._camera, connection)
        except BaseException:
            self._may_interrupt(None)
            connection.close()
            raise

    def _open_with_pyav(self) -> Opened:
        now_ns = self._clocks.monotonic_ns
        opened = open_with_pyav(self._camera, now_ns=now_ns)
        if self._camera.is_file:
            return opened
        assert isinstance(opened.source, InputContainer)
        if can_interrupt(opened.source):
            self._may_interrupt(opened.source)
            return opened
        opened.source.close()
        return open_with_pyav(self._camera, read_timeout_ns=self._camera.freeze_ns, now_ns=now_ns)


def _is_late(opened: Opened) -> bool:
    return isinstance(opened.source, Connection) and opened.source.late
