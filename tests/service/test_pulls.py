"""A running server fetches from a spare itself: by an order that outlives it, with a hand on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from command import fovideo, fovideo_json
from footage import FRAME_NS, T0_NS
from free_ports import free_ports
from served import open_store, record, served
from tls import Authority
from waiting import wait_until

from fovideo.cli.main import fovideo as main
from fovideo.errors import FovideoError, NothingThere, PeerUnauthorized, UsageError
from fovideo.merge import Order, Span
from fovideo.merge.doing.running import MergeResult, MergeState, MergeStatus
from fovideo.peer import Control, Credentials, Pull, RemoteStore
from fovideo.service.pulled import KEPT, Pulled
from fovideo.service.pulls import Pulls, Source, source_of
from fovideo.service.serve import RecordingServer
from fovideo.service.spare import Spare
from fovideo.site import Site, load_site
from fovideo.store import Store
from fovideo.times import format_ns

PATIENCE_S = 60.0


def site_of(folder: Path, more: str = "", *, scheme: str = "http") -> Site:
    ports = free_ports(2)
    text = f"""
[site]
name = "plant"
{more}
[[server]]
name = "rec-1"
listen = "127.0.0.1:{ports[0]}"
url = "{scheme}://127.0.0.1:{ports[0]}"
store = "rec-1"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:{ports[1]}"
url = "{scheme}://127.0.0.1:{ports[1]}"
store = "spare-1"
"""
    (folder / "site.toml").write_text(text)
    return load_site(folder / "site.toml")


class Two:
    """A server that lacks the end of what a spare has; nobody of the site records that camera."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.server, self.spare = RecordingServer(site, "rec-1"), Spare(site, "spare-1")

    def __enter__(self) -> Two:
        self.spare.start()
        self.server.start()
        record(self.spare.store, 0, 400, size=4000, pending=True)
        record(self.server.store, 0, 100, size=4000)
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stop()
        self.spare.stop()

    def pull(self, **order: object) -> MergeResult:
        """Ordered over HTTP, and waited for."""
        with closing(Control(self.server.url, "sesame")) as control:
            id = control.pull(Pull(id=os.urandom(4).hex(), **order)).id  # type: ignore[arg-type]
            wait_until(lambda: self.ended(id), "the pull has ended", PATIENCE_S)
            return control.merge(id)

    def frames(self) -> int:
        return sum(info.frames for info in self.server.store.streams())

    def ended(self, id: str) -> bool:
        return self.server._pulls.result(id).status.ended


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    with Two(site_of(tmp_path, 'token = "sesame"')) as two:
        yield two


SESAME = {"FOVIDEO_TOKEN": "sesame"}


def test_a_server_pulls_what_it_lacks(two: Two) -> None:
    report = fovideo_json("merge", two.spare.url, two.server.url, "--pull", **SESAME)
    (stream,) = report["streams"]
    assert (stream["inserted_frames"], stream["duplicate_frames"]) == (300, 100)
    assert stream["verified"]
    assert stream["settled_rows"] > 0
    assert report["source"] == two.spare.url
    assert two.frames() == 400
    assert not two.spare.store.unsettled()
    assert not list((Path(two.server.store.location) / "incoming").iterdir())
    again = two.pull(source="spare-1")
    assert again.report is not None
    assert again.report.streams[0].inserted_frames == 0
    assert two.server.store.journal("pulls") is None


def test_what_is_asked_of_a_merge_can_be_asked_of_a_pull(two: Two) -> None:
    span = Span(T0_NS + 250 * FRAME_NS, T0_NS + 300 * FRAME_NS)
    result = two.pull(
        source="spare-1",
        streams=("gate",),
        to_ns=span.to_ns,
        order=Order.NEWEST,
        first=(span,),
        rate_bytes=10**9,
    )
    assert result.status.state is MergeState.DONE
    assert result.report is not None
    assert result.report.streams[0].inserted_frames == 200
    assert two.frames() == 300
    first = f"{format_ns(T0_NS + 305 * FRAME_NS)}/{format_ns(T0_NS + 310 * FRAME_NS)}"
    done = fovideo("merge", "spare-1", two.server.url, "--pull", "--first", first, **SESAME)
    assert done.returncode == 0, done.stderr
    assert "inserted 100 frames" in done.stdout


def slow_pull(two: Two) -> str:
    """Begun; after each quarter of a megabyte it waits for minutes."""
    before = two.frames()
    said = fovideo_json("merge", "spare-1", two.server.url, "--pull", "--rate", "1kB", "--no-wait", **SESAME)
    wait_until(lambda: two.frames() > before, "something is inserted", PATIENCE_S)
    id: str = said["merge"]
    return id


def test_paused_resumed_and_ended(two: Two) -> None:
    id = slow_pull(two)
    wait_until(lambda: two.server.health().merges[0].size_bytes, "it says so", PATIENCE_S)
    (running,) = fovideo_json("merges", two.server.url, "--pause", **SESAME)
    assert (running["id"], running["state"], running["source"]) == (id, "paused", "spare-1")
    assert running["of_bytes"] > running["size_bytes"] > 0
    shown = fovideo("status", two.site.path, COLUMNS="200", **SESAME)
    assert id in shown.stdout
    assert "paused" in shown.stdout
    (running,) = fovideo_json("merges", two.site.path, "--resume", "--merge", id, **SESAME)
    assert running["state"] == "running"
    assert running["eta_ns"] > 0
    fovideo_json("merges", two.server.url, "--cancel", "--merge", "spare-1", **SESAME)
    wait_until(lambda: two.ended(id), "the pull has ended", PATIENCE_S)
    result = two.server._pulls.result(id)
    assert result.status.state is MergeState.STOPPED
    assert result.report is not None
    (stream,) = result.report.streams
    assert stream.inserted_frames + stream.left_frames == 300
    assert two.frames() == 100 + stream.inserted_frames < 400
    assert two.server.store.journal("pulls") is None
    assert "no such merge runs" in refused("merges", two.server.url, "--pause")
    assert two.server.health().merges == ()


def test_a_manifest_of_a_pull(two: Two, tmp_path: Path) -> None:
    """The server knows what store it pulled from, and when: so any time later, too."""
    url = two.server.url
    said = fovideo_json("merge", "spare-1", url, "--pull", "--manifest", tmp_path / "m", **SESAME)
    assert said["manifest"]["frames"] == 300
    assert not (tmp_path / "m.begun").exists()
    assert fovideo("check", url, "--manifest", tmp_path / "m", **SESAME).returncode == 0
    assert "is there already" in refused("merge", "spare-1", url, "--pull", "--manifest", str(tmp_path / "m"))
    (status,) = two.server._pulls.ended()
    record(two.spare.store, 400, 100, size=4000, pending=True)
    assert two.pull(source="spare-1").report is not None
    later = tmp_path / "later"
    done = fovideo("merges", url, "--merge", status.id, "--manifest", later, **SESAME)
    assert "inserted 300 frames" in done.stdout, done.stderr
    lines = [path.read_text().splitlines() for path in (tmp_path / "m", later)]
    assert [json.loads(line)["kind"] for line in lines[1]][-1] == "end"
    drop = [[json.loads(line) | {"link": "", "created": ""} for line in each] for each in lines]
    assert drop[0] == drop[1], "what was pulled since is not in it"
    assert "no pull of that id" in refused("merges", url, "--merge", "x", "--manifest", str(tmp_path / "n"))
    assert "--merge ID" in refused("merges", url, "--manifest", str(tmp_path / "n"))


def restarted(two: Two) -> None:
    two.server.stop()
    two.server = RecordingServer(two.site, "rec-1")
    two.server.start()


def test_what_became_of_pulls_is_known_after_a_restart(two: Two) -> None:
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    results = [two.pull(source="spare-1"), two.pull(source=dead, patience_ns=0)]
    assert [each.status.state for each in results] == [MergeState.DONE, MergeState.FAILED]
    restarted(two)
    url = two.server.url
    with closing(Control(url, "sesame")) as control:
        assert control.merges() == [each.status for each in results]
        assert [control.merge(each.status.id) for each in results] == results
    said = fovideo("merges", two.site.path, COLUMNS="200", **SESAME).stdout
    assert all(word in said for word in ("done", "failed", *(each.status.id for each in results)))
    done = fovideo_json("merges", url, "--merge", results[0].status.id, **SESAME)
    assert done["streams"][0]["inserted_frames"] == 300
    assert "nothing listens" in refused("merges", url, "--merge", results[1].status.id)
    assert two.server.health().merges == ()


def test_only_the_last_are_kept(tmp_path: Path) -> None:
    with open_store(tmp_path / "server") as store:
        pulled = Pulled(store)
        results = [
            MergeResult(status=MergeStatus(id=f"{n}", source="a", target="b", state=MergeState.DONE))
            for n in range(KEPT + 5)
        ]
        for result in results:
            pulled.add(result)
        assert Pulled(store).statuses() == tuple(each.status for each in results[5:])
        assert Pulled(store).find("4") is None
        store.note("pulls-ended", b"{")
        assert Pulled(store).statuses() == ()


def test_a_pause_outlives_a_restart(two: Two) -> None:
    """And the same order is still the same; one that was ended is not begun again."""
    id = slow_pull(two)
    two.server.pause_merge(id)
    restarted(two)
    wait_until(lambda: two.server.health().merges, "it is taken up", PATIENCE_S)
    with closing(Control(two.server.url, "sesame")) as control:
        assert [str(each.state) for each in control.merges()] == ["paused"]
        assert control.pull(Pull(id="other", source="spare-1", rate_bytes=1000)).id == id
    entry = two.server._pulls._entries[id]
    entry.cancelled = True
    two.server._pulls._note()
    entry.cancelled = False  # the process dies before it can report
    restarted(two)
    (status,) = two.server._pulls.ended()
    assert (status.id, status.state) == (id, MergeState.STOPPED)
    assert two.server.store.journal("pulls") is None
    assert "restarted before it could report" in refused("merges", two.server.url, "--merge", id)


def test_a_restart_goes_on(two: Two) -> None:
    id = slow_pull(two)
    two.server.stop()
    with Store.open(two.site.server("rec-1").store) as store:
        assert b"spare-1" in (store.journal("pulls") or b"")
        before = store.streams()[0].frames
    assert 100 < before < 400
    two.server = RecordingServer(two.site, "rec-1")
    two.server.start()
    wait_until(lambda: two.frames() > before, "it goes on", PATIENCE_S)
    two.server.cancel_merge(id)
    wait_until(lambda: two.ended(id), "the pull has ended", PATIENCE_S)
    assert two.server._pulls.result(id).status.state is MergeState.STOPPED
    left = 400 - two.frames()
    result = two.pull(source="spare-1")
    assert result.report is not None
    assert result.report.streams[0].inserted_frames == left
    assert two.frames() == 400


@pytest.mark.slow
def test_a_server_that_is_killed_goes_on(tmp_path: Path) -> None:
    """SIGKILL while a pull is on its way; the server takes it up by itself, and its client waits for it."""
    site = site_of(tmp_path)
    with open_store(tmp_path / "rec-1") as store:
        record(store, 0, 100, size=4000)

    def serve() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "fovideo", "serve", str(site.path), "--server", "rec-1", "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["name"] == "rec-1"
        return process

    spare = Spare(site, "spare-1")
    spare.start()
    record(spare.store, 0, 400, size=4000, pending=True)
    process = serve()
    url = site.reached_at(site.server("rec-1"))
    try:
        command = [sys.executable, "-m", "fovideo", "merge", "spare-1", url, "--pull", "--json"]
        with (
            RemoteStore(url) as remote,
            subprocess.Popen(
                [*command, "--rate", "1kB"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as client,
        ):
            there = 100
            for kill in (True, True, False):
                wait_until(lambda: remote.streams()[0].frames > there, "it is on its way", PATIENCE_S)  # noqa: B023
                there = remote.streams()[0].frames
                if kill:
                    process.kill()
                    process.communicate()
                    process = serve()
            with closing(Control(url)) as control:
                control.cancel(remote.health().merges[0].id)
            printed, said = client.communicate(timeout=120)
        assert client.returncode == 1, said
        report = json.loads(printed)
        assert report["stopped"]
        assert report["streams"][0]["inserted_frames"] + report["streams"][0]["left_frames"] < 300
        assert fovideo(*command[3:]).returncode == 0
        assert not spare.store.unsettled()
    finally:
        process.kill()
        process.communicate()
        spare.stop()
    with Store.open(tmp_path / "rec-1", write=True) as store:
        found = [int(d) for row in store.gops("gate") for d in store.frames("gate", row)["digest"]]
        assert len(found) == len(set(found)) == 400
        assert store.check().sound
        assert store.journal("pulls") is None


def test_with_certificates_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    for name in ("rec-1", "spare-1", "boss", "wall"):
        authority.issue(name)
    tls = """
[tls]
ca = "pki/ca.pem"
cert = "pki/{name}.pem"
key = "pki/{name}.key"
client_certificates = "required"
[[client]]
name = "boss"
role = "admin"
[[client]]
name = "wall"
role = "viewer"
"""

    def shown(name: str) -> Credentials:
        folder = authority.path.parent
        return Credentials(
            ca=str(authority.path), cert=str(folder / f"{name}.pem"), key=str(folder / f"{name}.key")
        )

    with Two(site_of(tmp_path, tls, scheme="https")) as two:
        for name in ("wall", "spare-1"):
            with closing(Control(two.server.url, credentials=shown(name))) as control:
                with pytest.raises(PeerUnauthorized, match="may not do this"):
                    control.pull(Pull(id="x", source="spare-1"))
                with pytest.raises(PeerUnauthorized):
                    control.cancel("x")
        with closing(Control(two.server.url, credentials=shown("boss"))) as control:
            id = control.pull(Pull(id="x", source="spare-1")).id
            wait_until(lambda: two.ended(id), "the pull has ended", PATIENCE_S)
            assert control.merge(id).status.error == ""
        with closing(Control(two.server.url, credentials=shown("wall"))) as control:
            assert control.merge(id).status.state is MergeState.DONE
        assert two.frames() == 400
        assert not two.spare.store.unsettled()


def refused(*arguments: str) -> str:
    """The error of a command that is run in this process."""
    result = CliRunner(env=SESAME).invoke(main, [*map(str, arguments)])
    assert isinstance(result.exception, FovideoError), result.output
    return str(result.exception)


def test_orders_that_make_no_sense(two: Two) -> None:
    url = two.server.url
    assert "no machine named 'nobody'" in refused("merge", "nobody", url, "--pull")
    assert "into itself" in refused("merge", "rec-1", url, "--pull")
    assert "only a running server" in refused("merge", "spare-1", "somewhere", "--pull")
    assert "--pull" in refused("merge", "a", url, "--pull", "--dry-run")
    assert "--no-wait" in refused("merge", "a", url, "--no-wait")
    assert "no stream 'yard'" in refused("merge", "spare-1", url, "--pull", "--stream", "yard")
    dead = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert "nothing listens" in refused("merge", dead, url, "--pull", "--patience", "0s")
    with closing(Control(url, "sesame")) as control:
        with pytest.raises(UsageError, match="the body cannot be used"):
            control.order("merge", id="x", source="spare-1", whatever=1)
        with pytest.raises(NothingThere, match="no merge 'y'"):
            control.merge("y")
        with pytest.raises(NothingThere):
            control.pause("y")


def test_strangers_are_not_shown_the_token(two: Two) -> None:
    own = two.site.server("rec-1")
    assert source_of(two.site, own, "spare-1").credentials.token == "sesame"
    assert source_of(two.site, own, two.spare.url + "/").credentials.token == "sesame"
    assert source_of(two.site, own, "http://127.0.0.1:9").credentials.token == ""
    with pytest.raises(UsageError, match="no user or password"):
        source_of(two.site, own, "http://user:hush@127.0.0.1:9")


def test_an_order_that_is_repeated_is_one(tmp_path: Path) -> None:
    """And orders are carried out one after the other, whatever ends in between."""
    told: list[tuple[object, str]] = []
    with open_store(tmp_path / "spare") as spare, open_store(tmp_path / "server") as server:
        record(spare, 0, 400, size=4000)
        with served(spare) as http:

            def find(name: str) -> Source:
                if name == "none":
                    raise UsageError("no such machine")
                return Source(name, http.url, Credentials())

            pulls = Pulls("rec-1", server, find, told=lambda report, error: told.append((report, error)))
            held = Pull(id="a", source="spare", order=Order.NEWEST, rate_bytes=1)
            assert pulls.order(held).id == "a"
            pulls.pause("a", True)
            assert pulls.order(held).id == "a"
            assert pulls.order(Pull(id="b", source="spare", order=Order.NEWEST, rate_bytes=1)).id == "a"
            assert pulls.order(Pull(id="c", source="spare")).state is MergeState.WAITING
            with pytest.raises(UsageError):
                pulls.order(Pull(id="d", source="none"))
            pulls.cancel("a")
            wait_until(lambda: pulls.result("c").status.ended, "the next one is done", PATIENCE_S)
            assert [pulls.result(id).status.state for id in "ac"] == [MergeState.STOPPED, MergeState.DONE]
            assert pulls.order(Pull(id="a", source="spare")).state is MergeState.STOPPED
            pulls.close()
            with pytest.raises(FovideoError, match="being stopped"):
                pulls.order(Pull(id="e", source="spare"))
        assert len(told) == 2
        assert server.streams()[0].frames == 400
