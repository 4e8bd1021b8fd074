"""A camera's reader thread: session after session into one ring, with pauses that grow."""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Callable

from fovideo.camera.assignment import Assignment, Listener
from fovideo.camera.clocks import Clocks
from fovideo.camera.config import CameraConfig
from fovideo.camera.demux import Counters
from fovideo.camera.native import Ingest, NativeSession, NotServed
from fovideo.camera.session import Session
from fovideo.camera.session_start import SessionStart
from fovideo.camera.state import CameraState, ReaderStatus, state_of
from fovideo.errors import CameraBroken, CameraError, ConfigError, FileCutShort
from fovideo.platform import run_before_others
from fovideo.ring import Ring
from fovideo.times import NS_PER_S

_log = logging.getLogger(__name__)

_PATIENT = (CameraState.UNAUTHORIZED, CameraState.UNSUPPORTED)

StateListener = Callable[[CameraState, CameraError | None], None]


def backoff_ns(failures: int, camera: CameraConfig, chance: random.Random) -> int:
    """Pause before the next attempt: doubled with each failure in a row (1, 2, ...), half of it by chance.

    The chance keeps the cameras of a site, which fail together, from coming back together.
    """
    longest = min(camera.backoff_min_ns << min(failures - 1, 32), camera.backoff_max_ns)
    return round(longest * (0.5 + 0.5 * chance.random()))


class Reader:
    """Reads a camera into a ring, of which it is the only producer, until it is stopped.

    start, stop, join, check and status may be called by any thread. on_state and on_session are called by the
    reader's own thread, or, when the first frame has come, by one that all readers share, and never by two at
    once: they must return soon, and not wait for a reader's end. on_pressure: the ring is half full.
    """

    def __init__(
        self,
        camera: CameraConfig,
        ring: Ring,
        *,
        on_state: StateListener | None = None,
        on_session: Callable[[SessionStart], None] | None = None,
        on_pressure: Callable[[], None] | None = None,
        clocks: Clocks | None = None,
        chance: random.Random | None = None,
        ingest: Ingest | None = None,
        sessions: int = 0,
    ) -> None:
        """ingest: the event loop for a camera whose `ingest` is "native"; stays open. None: its own.
        sessions: that another reader had with this ring before.
        """
        self.camera = camera
        self._ring = ring
        self._on_state, self._on_session = on_state, on_session
        self._on_pressure = on_pressure or (lambda: None)
        self._clocks = clocks or Clocks()
        self._chance = chance or random.Random()
        self._counters = Counters()
        self._counters.sessions = sessions
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._ingest, self._own_ingest = ingest, False
        self._session: Session | NativeSession | None = None
        self._session_name = ""
        self._lost_packets = 0  # of sessions that are over
        self._state, self._since_ns = CameraState.STOPPED, self._clocks.monotonic_ns()
        self._failures: dict[CameraState, int] = {}
        self._error = ""

    def start(self) -> None:
        """Begin reading. A reader runs once: for another time make another."""
        if self._thread is not None:
            raise RuntimeError("a reader runs once")
        self._thread = threading.Thread(target=self._run, name=f"camera-{self.camera.name}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell the thread to end; it does within about 100 ms, or open_timeout_ns while PyAV opens."""
        self._stopping.set()
        session = self._session
        if session is not None:
            session.interrupt()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the thread's end. False when it still runs (and may still use the ring)."""
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def check(self, now_ns: int) -> None:
        """Notice a frozen camera; to be called a few times a second with the monotonic clock."""
        session = self._session
        if session is not None:
            session.check(now_ns)

    def status(self) -> ReaderStatus:
        counters, session = self._counters, self._session
        lost = self._lost_packets + (session.sync() if session is not None else 0)
        return ReaderStatus(
            state=self._state,
            since_ns=self._since_ns,
            session=self._session_name,
            sessions=counters.sessions,
            failures=dict(self._failures),
            frames=counters.frames,
            bytes=counters.bytes,
            dropped_frames=counters.dropped_frames,
            last_receipt_ns=counters.last_receipt_ns,
            error=self._error,
            lost_packets=lost,
        )

    def _run(self) -> None:
        if not self.camera.is_file:
            run_before_others()
        try:
            self._run_sessions()
        finally:
            if self._own_ingest and self._ingest is not None:
                self._ingest.close()

    def _run_sessions(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._enter(CameraState.CONNECTING, None)
            began_ns = self._clocks.monotonic_ns()
            error = self._run_session()
            if self._stopping.is_set():
                break
            if error is None or isinstance(error, FileCutShort):
                self._enter(CameraState.ENDED, error)
                return
            lasted_ns = self._clocks.monotonic_ns() - began_ns
            was_live = self._state is CameraState.LIVE
            failures = 1 if was_live and lasted_ns > self.camera.backoff_max_ns else failures + 1
            state = state_of(error)
            self._failures[state] = self._failures.get(state, 0) + 1
            self._enter(state, error)
            pause_ns = backoff_ns(failures + 16 * (state in _PATIENT), self.camera, self._chance)
            self._stopping.wait(pause_ns / NS_PER_S)
        self._enter(CameraState.STOPPED, None)

    def _run_session(self) -> CameraError | None:
        self._session_name = secrets.token_hex(8)
        try:
            self._read()
        except CameraError as error:
            return error
        except ConfigError as error:
            return CameraBroken(error.what, where=error.where, hint=error.hint)
        except Exception as error:
            # Whatever one camera does must not end its recording for good.
            _log.exception("camera %s: unexpected error", self.camera.name)
            return CameraBroken(f"unexpected {type(error).__name__}", where=self.camera.source)
        finally:
            session, self._session = self._session, None
            if session is not None:
                self._lost_packets += session.sync()
        return None

    def _read(self) -> None:
        """One session, by the reader that the camera is configured for and that serves it."""
        assignment = Assignment(
            camera=self.camera,
            ring=self._ring,
            number=(self._counters.sessions + 1) & 0xFFFFFFFF,
            name=self._session_name,
            stopping=self._stopping,
            counters=self._counters,
            clocks=self._clocks,
            listener=Listener(self._live, self._on_pressure),
        )
        if self.camera.ingest == "native" and not self.camera.is_file:
            if self._ingest is None:
                self._ingest, self._own_ingest = Ingest(), True
            native = NativeSession(assignment, self._ingest)
            self._session = native
            try:
                native.run()
                return
            except NotServed as reason:
                if self.camera.is_replay:
                    what = f"its replay cannot be read: {reason}"
                    raise CameraBroken(what, where=self.camera.source) from None
                _log.info("camera %s: read by libavformat: %s", self.camera.name, reason)
        session = self._session = Session(assignment)
        session.run()

    def _live(self, start: SessionStart) -> None:
        self._counters.sessions += 1
        if self._on_session is not None:
            self._on_session(start)
        self._enter(CameraState.LIVE, None)

    def _enter(self, state: CameraState, error: CameraError | None) -> None:
        if state is not CameraState.CONNECTING:
            self._error = str(error) if error is not None else ""
        changed, self._state = state is not self._state, state
        if changed:
            self._since_ns = self._clocks.monotonic_ns()
        if changed and self._on_state is not None:
            self._on_state(state, error)
