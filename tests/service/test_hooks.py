"""Hooks: what they are told, and that nothing they do matters to anybody else."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest
from waiting import wait_until

from fovideo.service.events import Event, HandedBack, HookFailed, Merged, RoleReturned, RoleTaken, TakenOver
from fovideo.service.hooks import Hooks, environment, run_hook
from fovideo.site import Hook, Site, site_from

TEXT = """
[site]
name = "plant"
[[server]]
name = "rec-1"
listen = "127.0.0.1:1"
store = "a"
attached = ["relay board", "serial line"]
[[server]]
name = "rec-2"
listen = "127.0.0.1:4"
store = "d"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:2"
store = "b"
"""
TAKEN = TakenOver("rec-1", ("gate", "yard"), 7)


def site_of(folder: Path, hooks: str = "") -> Site:
    return site_from(TEXT + hooks, folder / "site.toml")


def test_what_a_hook_is_told(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    assert environment(site, "spare-1", TAKEN, 1_790_000_000_000_000_000) == {
        "FOVIDEO_EVENT": "takeover",
        "FOVIDEO_ROLE": "recording",
        "FOVIDEO_SITE": "plant",
        "FOVIDEO_SERVER": "rec-1",
        "FOVIDEO_SPARE": "spare-1",
        "FOVIDEO_LEASE": "7",
        "FOVIDEO_CAMERAS": "gate yard",
        "FOVIDEO_ATTACHED": "relay board\nserial line",
        "FOVIDEO_TIME": "2026-09-21T14:13:20Z",
    }
    over = HandedBack("rec-1", ("gate",), (), 7, True, ())
    assert environment(site, "s", over, 1)["FOVIDEO_EVENT"] == "handback"
    assert environment(site, "s", HandedBack("rec-1", ("gate",), (), 7, False, ()), 1) == {}
    assert environment(site, "s", RoleTaken("management", "mgmt", 2), 1)["FOVIDEO_ROLE"] == "management"
    assert environment(site, "s", RoleReturned("management", "mgmt", 2), 1)["FOVIDEO_EVENT"] == "handback"
    assert environment(site, "s", Merged("rec-1", 7, ()), 1) == {}


def test_they_run_in_order_and_for_those_they_concern(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    script = 'echo "$FOVIDEO_EVENT $FOVIDEO_SERVER" >> "$0"'
    command = json.dumps(["/bin/sh", "-c", script, str(out)])
    text = f'[[hook]]\ncommand = {command}\non = ["takeover"]\nservers = ["rec-1"]\n'
    events: list[Event] = []
    hooks = Hooks(site_of(tmp_path, text), "spare-1", events.append)
    hooks.start()
    hooks.tell(TAKEN)
    hooks.tell(TakenOver("rec-2", ("door",), 8))
    hooks.tell(HandedBack("rec-1", ("gate",), (), 7, True, ()))
    hooks.tell(TakenOver("rec-1", ("gate",), 9))
    hooks.stop()
    assert out.read_text().splitlines() == ["takeover rec-1", "takeover rec-1"]
    assert events == []


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/bin/sh", "-c", "echo no such address; exit 3"), "exit status 3: no such address"),
        (("/no/such/program",), "cannot be run: No such file or directory"),
        (("/bin/sh", "-c", "exit 1"), "exit status 1: it said nothing"),
    ],
)
def test_a_hook_that_fails_is_an_event(tmp_path: Path, command: tuple[str, ...], said: str) -> None:
    text = f"[[hook]]\ncommand = {json.dumps(list(command))}\n"
    events: list[Event] = []
    hooks = Hooks(site_of(tmp_path, text), "spare-1", events.append)
    hooks.start()
    hooks.tell(TAKEN)
    wait_until(lambda: bool(events), "the event")
    hooks.stop()
    assert events == [HookFailed("takeover", "rec-1", command[0], said)]


def test_a_hook_that_hangs_is_killed_with_all_it_started(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f'sleep 600 & echo $! > "{pid}"; wait'
    hook = Hook(command=("/bin/sh", "-c", script), timeout_ns=500_000_000)  # type: ignore[arg-type]
    assert run_hook(hook, {}) == "killed: not done after 0.5 s"
    child = int(pid.read_text())

    def gone() -> bool:
        try:
            return Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    wait_until(gone, "what it started is gone")


def test_telling_waits_for_nothing(tmp_path: Path) -> None:
    text = '[[hook]]\ncommand = ["/bin/sleep", "600"]\ntimeout = "300ms"\n'
    events: list[Event] = []
    hooks = Hooks(site_of(tmp_path, text), "spare-1", events.append)
    hooks.start()
    told = threading.Thread(target=lambda: [hooks.tell(TAKEN) for _ in range(100)])
    told.start()
    told.join(10)
    assert not told.is_alive()
    wait_until(lambda: len(events) >= 2, "two were killed in turn")


def test_secrets_stay_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FOVIDEO_TOKEN", "sesame")
    monkeypatch.setenv("CAMERA_PASSWORD", "sesame")
    out = tmp_path / "out.txt"
    code = f"import os; open({str(out)!r}, 'w').write(repr(dict(os.environ)))"
    assert run_hook(Hook(command=(sys.executable, "-c", code)), {"FOVIDEO_EVENT": "takeover"}) == ""
    text = out.read_text()
    assert "takeover" in text
    assert "sesame" not in text
