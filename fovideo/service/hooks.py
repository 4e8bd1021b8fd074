"""Hooks: commands that a spare runs when it stands in for somebody, and when it hands back.

A thread of their own runs them one after the other, in the order of what happened. Failover waits for none of
them, and a hook that fails or hangs changes nothing but the log, and an event.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable

from fovideo.service.events import Event, HandedBack, HookFailed, RoleReturned, RoleTaken, TakenOver
from fovideo.site import Hook, Site
from fovideo.times import NS_PER_S, format_ns

_log = logging.getLogger(__name__)

_PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")
_SAID_CHARACTERS = 300
_CLOSE_S = 5.0


def environment(site: Site, spare: str, event: Event, now_ns: int) -> dict[str, str]:
    """What a hook is told of an event (docs/design/management.md); {} for events that concern no hook."""
    match event:
        case TakenOver(server, cameras, lease):
            word, role = "takeover", "recording"
        case HandedBack(server, cameras, lease=lease, over=True):
            word, role = "handback", "recording"
        case RoleTaken(role, server, lease):
            word, cameras = "takeover", ()
        case RoleReturned(role, server, lease):
            word, cameras = "handback", ()
        case _:
            return {}
    attached = next((each.attached for each in site.servers if each.name == server), ())
    return {
        "FOVIDEO_EVENT": word,
        "FOVIDEO_ROLE": role,
        "FOVIDEO_SITE": site.name,
        "FOVIDEO_SERVER": server,
        "FOVIDEO_SPARE": spare,
        "FOVIDEO_LEASE": str(lease),
        "FOVIDEO_CAMERAS": " ".join(cameras),
        "FOVIDEO_ATTACHED": "\n".join(attached),
        "FOVIDEO_TIME": format_ns(now_ns),
    }


class Hooks:
    """From start() to stop(). emit: told of hooks that fail."""

    def __init__(self, site: Site, spare: str, emit: Callable[[Event], None]) -> None:
        self.site, self._spare, self._emit = site, spare, emit
        self._waiting: queue.SimpleQueue[tuple[Hook, dict[str, str]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"hooks-{spare}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What is waiting is run, but not waited for long."""
        self._waiting.put(None)
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    def tell(self, event: Event) -> None:
        """Something happened. Returns at once."""
        told = environment(self.site, self._spare, event, time.time_ns())
        for hook in self.site.hooks if told else ():
            if told["FOVIDEO_EVENT"] in hook.on and (
                not hook.servers or told["FOVIDEO_SERVER"] in hook.servers
            ):
                self._waiting.put((hook, told))

    def _run(self) -> None:
        while (order := self._waiting.get()) is not None:
            hook, told = order
            try:
                error = run_hook(hook, told)
            except Exception:
                _log.exception("a hook failed")
                error = "failed unexpectedly"
            if error:
                _log.error("hook %s: %s", hook.command[0], error)
                self._emit(HookFailed(told["FOVIDEO_EVENT"], told["FOVIDEO_SERVER"], hook.command[0], error))
            else:
                _log.info("hook %s: done (%s)", hook.command[0], told["FOVIDEO_EVENT"])


def run_hook(hook: Hook, told: dict[str, str]) -> str:
    """Run a hook to its end, or kill it and what it started; what went wrong, "" for nothing.

    Of this process's environment it gets what every program needs, and none of its secrets.
    """
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        process = subprocess.Popen(
            hook.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=passed_on | told,
            start_new_session=True,
        )
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    try:
        said, _ = process.communicate(timeout=hook.timeout_ns / NS_PER_S)
    except subprocess.TimeoutExpired:
        _kill(process)
        return f"killed: not done after {hook.timeout_ns / NS_PER_S:g} s"
    if process.returncode:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        return f"exit status {process.returncode}: {last[0][:_SAID_CHARACTERS]}"
    return ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The hook, and what it has started."""
    killpg = getattr(os, "killpg", None)
    try:
        if killpg is None:
            process.kill()
        else:
            killpg(process.pid, signal.SIGKILL)
    except OSError:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
