"""Events become notices: in the log with fields for programs, as counters, and at a webhook."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from waiting import wait_until

from fovideo.camera import CameraState
from fovideo.errors import ConfigError
from fovideo.merge import StreamReport
from fovideo.record import FramesLost, ModeChanged, StateChanged, StoreFailed, StoreRecovered
from fovideo.record.events import Mode
from fovideo.service.events import (
    Event,
    HandedBack,
    HookFailed,
    Merged,
    MergeFailed,
    Outage,
    TakenOver,
    Uncovered,
)
from fovideo.service.notices import EVENTS, Noticing
from fovideo.service.notifier import Notifier
from fovideo.service.reload import Reloaded, ReloadRefused
from fovideo.service.webhook import Webhook
from fovideo.site import load_site
from fovideo.timeline import Gap
from fovideo.timeline.values import Loss

PAGE = Path(__file__).parents[2] / "docs/ref/events.md"
GAP = Gap(1_790_000_000_000_000_000, 1_790_000_001_500_000_000, "cut")
ALL: list[Event] = [
    TakenOver("rec-1", ("gate", "yard"), 3),
    Uncovered("rec-1", ("yard",)),
    HandedBack("rec-1", ("gate",), ("gate",), 3, True, (StreamReport(name="gate", inserted_frames=9),)),
    Merged("rec-1", 3, (StreamReport(name="gate", inserted_frames=9),)),
    MergeFailed("rec-1", 3, "no room"),
    Outage("rec-1", 3, {"gate": (GAP,)}),
    FramesLost("gate", Loss(GAP.start_ns, GAP.end_ns, 25, "disk-slow")),
    StateChanged("gate", CameraState.FROZEN, "silent for 3 s"),
    StateChanged("gate", CameraState.LIVE),
    StoreFailed("disk full"),
    StoreRecovered(2_500_000_000),
    Reloaded(added=("gate",)),
    ReloadRefused("site.toml: not TOML"),
    HookFailed("takeover", "rec-1", "/usr/local/bin/move-address", "exit status 1: no such address"),
]


def test_each_event_that_means_something_has_a_notice() -> None:
    noticing = Noticing()
    notices = [noticing.notice(event) for event in ALL]
    assert tuple(notice.event for notice in notices if notice) == EVENTS
    for notice in notices:
        assert notice is not None
        assert "\n" not in notice.text
        json.dumps(notice.fields)
    assert Noticing().notice(ModeChanged("gate", Mode.RECORD)) is None


def test_the_page_names_all() -> None:
    page, noticing = PAGE.read_text(encoding="utf-8"), Noticing()
    for event in ALL:
        notice = noticing.notice(event)
        assert notice is not None
        (row,) = [line for line in page.splitlines() if line.startswith(f"| `{notice.event}` |")]
        for field in notice.fields:
            assert f"`{field}`" in row, (notice.event, field)


def test_a_camera_falls_and_rises_once() -> None:
    noticing = Noticing()
    states = [
        CameraState.CONNECTING,
        CameraState.LIVE,
        CameraState.FROZEN,
        CameraState.CONNECTING,
        CameraState.UNREACHABLE,
        CameraState.LIVE,
        CameraState.STOPPED,
    ]
    told = [noticing.notice(StateChanged("gate", state)) for state in states]
    assert [notice.event for notice in told if notice] == ["camera-down", "camera-up"]


class Listener(ThreadingHTTPServer):
    """Notes what is posted; answers what the test wants."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.heard: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                listener.gate.wait(30)
                status = listener.answers.pop(0) if listener.answers else 204
                if status == 204:
                    listener.heard.append(body)
                    listener.tokens.append(self.headers.get("Authorization", ""))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/hook?key=hush"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.gate.set()
        server.shutdown()
        thread.join()


def site_with(folder: Path, listener: Listener, more: str = "") -> Path:
    path = folder / "site.toml"
    path.write_text(
        '[site]\nname = "plant"\n[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:0"\nstore = "rec-1"\n'
        f'[[webhook]]\nname = "alerts"\nurl = "{listener.url}"\ntoken = "hush"\n{more}'
    )
    return path


def metrics(notifier: Notifier) -> str:
    registry = CollectorRegistry()
    registry.register(notifier)
    return generate_latest(registry).decode()


def test_log_webhook_and_metrics(
    tmp_path: Path, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    notifier = Notifier("plant", "spare-1", "spare")
    site = load_site(site_with(tmp_path, listener, 'events = ["takeover", "loss"]'))
    assert "hush" not in repr(site)
    notifier.use(site)
    for event in ALL:
        notifier.tell(event)
    wait_until(lambda: len(listener.heard) == 2, "both are told")
    wait_until(lambda: 'delivered_total{webhook="alerts"} 2.0' in metrics(notifier), "and counted")
    takeover, loss = listener.heard
    assert takeover == {
        "event": "takeover",
        "severity": "warning",
        "time": takeover["time"],
        "text": "taking over gate, yard of rec-1",
        "site": "plant",
        "station": "spare-1",
        "role": "spare",
        "server": "rec-1",
        "cameras": ["gate", "yard"],
        "lease": 3,
        "attached": [],
    }
    assert loss["frames"] == 25
    assert listener.tokens == ["Bearer hush"] * 2
    records = [record for record in caplog.records if record.name == "fovideo.events"]
    assert [record.fovideo["event"] for record in records] == list(EVENTS)
    assert records[0].fovideo["cameras"] == ("gate", "yard")
    assert records[0].getMessage() == "spare-1: taking over gate, yard of rec-1"
    text = metrics(notifier)
    assert 'fovideo_events_total{event="takeover"} 1.0' in text
    assert "hush" not in text
    notifier.close()


def test_what_fails_is_tried_again_in_order(listener: Listener) -> None:
    listener.answers = [503, 500, 429]
    hook = Webhook("alerts", listener.url, first_pause_s=0.01)
    hook.start()
    for number in range(3):
        hook.put("loss", {"number": number})
    wait_until(lambda: hook.status().delivered == 3, "all are told")
    assert [body["number"] for body in listener.heard] == [0, 1, 2]
    status = hook.status()
    assert (status.failures, status.dropped, status.waiting, status.error) == (3, 0, 0, "")
    hook.stop()


def test_what_is_refused_for_good_is_dropped(listener: Listener) -> None:
    listener.answers = [401]
    hook = Webhook("alerts", listener.url, first_pause_s=0.01)
    hook.start()
    hook.put("loss", {"number": 0})
    hook.put("loss", {"number": 1})
    wait_until(lambda: hook.status().delivered == 1, "the second is told")
    assert hook.status().dropped == 1
    hook.stop()


def test_nobody_waits_for_a_listener_that_hangs(listener: Listener) -> None:
    """The newest fit into the queue, the rest is counted."""
    listener.gate.clear()
    hook = Webhook("alerts", listener.url, queue=10, first_pause_s=0.01)
    hook.start()
    for number in range(100):
        hook.put("loss", {"number": number})
    assert hook.status().waiting == 10
    assert hook.status().dropped == 90
    listener.gate.set()
    wait_until(lambda: hook.status().waiting == 0, "the rest is told")
    assert [body["number"] for body in listener.heard][-10:] == list(range(90, 100))
    hook.stop()


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    hook = Webhook("alerts", "http://127.0.0.1:9/secret", first_pause_s=0.01)
    hook.start()
    hook.put("loss", {})
    wait_until(lambda: hook.status().failures > 2, "it is tried")
    hook.stop()
    assert hook.status().dropped == 1
    assert "secret" not in caplog.text
    # Whatever else logs in this process meanwhile, such as a hook of an earlier test that is killed late.
    assert len([record for record in caplog.records if record.name == "fovideo.service.webhook"]) == 1


@pytest.mark.parametrize(
    ("more", "clue"),
    [('events = ["explosion"]', "events"), ('[[webhook]]\nname = "alerts"\nurl = "http://x"', "another")],
)
def test_wrong_tables(tmp_path: Path, listener: Listener, more: str, clue: str) -> None:
    with pytest.raises(ConfigError, match=clue):
        load_site(site_with(tmp_path, listener, more))
