"""Orders to a site: what they call done, whatever the spares answer and when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from free_ports import free_ports
from site_text import machine

from fovideo.errors import PeerError
from fovideo.peer import Credentials, Health, WatchedServer
from fovideo.peer.health import StoreHealth
from fovideo.service import orders as orders_module
from fovideo.service.orders import Orders
from fovideo.service.overview import Answer
from fovideo.service.serve import RecordingServer
from fovideo.service.spare import Spare
from fovideo.site import Site, load_site

SLOW = Answer(None, "no answer within 2 s")
GONE = Answer(None, "nothing listens there", refused=True)


def site_of(folder: Path, spares: int = 1) -> Site:
    ports = iter(free_ports(1 + spares))
    text = '[site]\nname = "plant"\n' + machine("server", "rec-1", next(ports))
    text += "".join(machine("spare", f"spare-{n}", next(ports)) for n in range(1, 1 + spares))
    (folder / "site.toml").write_text(text)
    return load_site(folder / "site.toml")


def knows(drained: bool) -> Answer:
    watched = WatchedServer(state="watching", drained=drained)
    return Answer(
        Health(
            name="spare-1",
            role="spare",
            instance="a",
            state="watching",
            now_ns=1,
            store=StoreHealth(id="s"),
            servers={"rec-1": watched},
        )
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RecordingServer]:
    with RecordingServer(site_of(tmp_path), "rec-1") as server:
        yield server


def orders_to(server: RecordingServer, monkeypatch: pytest.MonkeyPatch, answers: list[Answer]) -> Orders:
    """The spare answers with each in turn, and with the last from then on."""

    def ask_all(*_: object, **__: object) -> dict[str, Answer]:
        return {"spare-1": answers.pop(0) if len(answers) > 1 else answers[0]}

    monkeypatch.setattr(orders_module, "ask_all", ask_all)
    return Orders(server.site, lambda _: Credentials(), pause=lambda _: None)


@pytest.mark.parametrize("not_yet", [SLOW, knows(False)])
def test_a_drain_is_done_when_the_spare_says_that_it_knows(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch, not_yet: Answer
) -> None:
    answers = [not_yet, not_yet, knows(True)]
    assert orders_to(server, monkeypatch, answers).drain("rec-1").complete
    assert answers == [knows(True)]


@pytest.mark.parametrize("unaware", [SLOW, knows(False)])
def test_a_drain_is_not_done_while_a_spare_may_not_know(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch, unaware: Answer
) -> None:
    done = orders_to(server, monkeypatch, [unaware]).drain("rec-1", wait_s=0.05)
    assert (done.state, done.complete) == ("drained", False)


def test_a_spare_that_does_not_run_needs_not_know(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert orders_to(server, monkeypatch, [GONE]).drain("rec-1").complete


def test_a_drain_is_taken_back(server: RecordingServer, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [knows(True), knows(False)]
    assert orders_to(server, monkeypatch, answers).drain("rec-1", False).complete
    assert answers == [knows(False)]


def test_a_failback_does_not_say_nobody_when_a_spare_is_silent(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PeerError, match="spare-1: no answer within 2 s"):
        orders_to(server, monkeypatch, [SLOW]).failback("rec-1")
    with pytest.raises(PeerError, match="no spare stands in for it"):
        orders_to(server, monkeypatch, [knows(False)]).failback("rec-1")


def test_a_spare_says_that_the_server_is_drained(tmp_path: Path) -> None:
    site = site_of(tmp_path)
    with RecordingServer(site, "rec-1") as server, Spare(site, "spare-1") as spare:
        assert not spare.health().servers["rec-1"].drained
        orders = Orders(site, lambda _: Credentials())
        assert orders.drain("rec-1").complete
        assert spare.health().servers["rec-1"].drained
        assert orders.drain("rec-1", False).complete
        assert not spare.health().servers["rec-1"].drained
        assert server.health().state == "recording"
