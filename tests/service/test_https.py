"""HTTPS with mutual authentication, with real certificates: servers, spares and commands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import fovideo, fovideo_json, one_line
from cutting_proxy import cutting_proxy
from free_ports import free_ports
from served import open_store, record, served
from tls import Authority

from fovideo.errors import ConfigError, PeerError, PeerUnauthorized, UsageError
from fovideo.merge import merge
from fovideo.peer import Connection, Credentials, Probe, RemoteStore, open_timeline
from fovideo.service.security import credentials_for
from fovideo.service.serve import RecordingServer
from fovideo.service.spare import Spare
from fovideo.site import Site, load_site
from fovideo.times import NS_PER_S

SITE = """
[site]
name = "plant"
[tls]
ca = "pki/ca.pem"
cert = "pki/{{name}}.pem"
key = "pki/{{name}}.key"
client_certificates = "{required}"
[[client]]
name = "wall"
role = "viewer"
token = "sesame-wall"
[[client]]
name = "watchdog"
role = "monitor"
[[server]]
name = "rec-1"
listen = "127.0.0.1:0"
url = "https://127.0.0.1:9"
store = "rec-1"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:0"
store = "spare-1"
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("pki"))
    for name in ("rec-1", "spare-1", "wall", "watchdog", "stranger"):
        made.issue(name)
    return made


def site_of(folder: Path, authority: Authority, required: str = "optional") -> Site:
    (folder / "pki").symlink_to(authority.path.parent)
    (folder / "site.toml").write_text(SITE.format(required=required))
    return load_site(folder / "site.toml")


@pytest.fixture
def site(tmp_path: Path, authority: Authority) -> Site:
    return site_of(tmp_path, authority)


@pytest.fixture
def server(site: Site) -> Iterator[RecordingServer]:
    with RecordingServer(site, "rec-1") as server:
        record(server.store)
        yield server


def shown(authority: Authority, name: str = "", token: str = "") -> Credentials:
    folder = authority.path.parent
    cert, key = (str(folder / f"{name}.pem"), str(folder / f"{name}.key")) if name else ("", "")
    return Credentials(token=token, ca=str(authority.path), cert=cert, key=key)


def ask(url: str, credentials: Credentials) -> RemoteStore:
    """Without waiting between tries."""
    return RemoteStore("", connection=Connection(url, credentials=credentials, pauses_s=(0.0,)))


def test_a_spare_merges_with_its_certificate(
    tmp_path: Path, site: Site, server: RecordingServer, authority: Authority
) -> None:
    assert server.url.startswith("https://")
    mine = credentials_for(site, site.spare("spare-1"), site.server("rec-1"))
    assert (mine.token, mine.cert) == ("", str(site.path.parent / "pki/spare-1.pem"))
    with open_store(tmp_path / "buffer") as spare, RemoteStore(server.url, credentials=mine) as remote:
        record(spare, 200, 100, pending=True)
        assert merge(spare, remote).streams[0].inserted_frames == 100
        assert not spare.unsettled()
        assert merge(spare, remote).streams[0].inserted_frames == 0
        with pytest.raises(PeerUnauthorized, match="'spare' may not do this"):
            remote.check()
    probe = Probe(server.url, credentials=mine, timeout_ns=10 * NS_PER_S)
    assert probe.ask().name == "rec-1"
    probe.close()


def test_roles_by_certificate_and_token(
    tmp_path: Path, server: RecordingServer, authority: Authority
) -> None:
    with open_store(tmp_path / "buffer") as spare:
        record(spare, 200, 100)
        for credentials in (shown(authority, "wall"), shown(authority, token="sesame-wall")):
            with RemoteStore(server.url, credentials=credentials) as remote:
                assert remote.streams()[0].frames == 200
                with pytest.raises(PeerUnauthorized, match="'viewer' may not insert footage"):
                    merge(spare, remote)
    assert server.store.streams()[0].frames == 200
    with RemoteStore(server.url, credentials=shown(authority, "watchdog")) as remote:
        assert remote.health().name == "rec-1"
        with pytest.raises(PeerUnauthorized, match="'monitor' may not read footage"):
            remote.streams()


def test_strangers(tmp_path: Path, server: RecordingServer, authority: Authority) -> None:
    with pytest.raises(PeerUnauthorized, match="a token is needed"):
        open_timeline(server.url, credentials=shown(authority))
    with pytest.raises(PeerUnauthorized, match="no client of this site is named 'stranger'"):
        open_timeline(server.url, credentials=shown(authority, "stranger"))
    with pytest.raises(PeerUnauthorized, match="the token was refused"):
        open_timeline(server.url, credentials=shown(authority, "wall", token="wrong"))
    other = Authority(tmp_path / "other")
    other.issue("spare-1")
    forged = shown(other, "spare-1")
    with pytest.raises(PeerUnauthorized, match="its certificate is not to be trusted"):
        open_timeline(server.url, credentials=forged)
    authority.issue("late", days=0)
    over = pytest.raises(PeerUnauthorized, match=r"late.pem: .*certificate is valid no more since 20\d\d-")
    with ask(server.url, shown(authority, "late")) as remote, over:
        remote.health()
    half = Credentials(ca=str(authority.path), cert=forged.cert, key=forged.key)
    with ask(server.url, half) as remote, pytest.raises(PeerError, match="client"):
        remote.health()


def test_a_certificate_can_be_required(tmp_path: Path, authority: Authority) -> None:
    with RecordingServer(site_of(tmp_path, authority, "required"), "rec-1") as server:
        tokened = shown(authority, token="sesame-wall")
        with ask(server.url, tokened) as remote, pytest.raises(PeerError, match="client"):
            remote.health()
        with ask(server.url, shown(authority, "wall", token="sesame-wall")) as remote:
            assert remote.health().name == "rec-1"


def test_plain_and_encrypted_do_not_mix(
    tmp_path: Path, server: RecordingServer, authority: Authority
) -> None:
    plain = ask(server.url.replace("https", "http"), Credentials())
    with plain as remote, pytest.raises(PeerError, match="want https"):
        remote.health()
    with (
        open_store(tmp_path / "plain") as store,
        served(store) as http,
        pytest.raises(PeerError, match="does not speak TLS"),
    ):
        open_timeline(http.url.replace("http", "https"), credentials=shown(authority))


def test_cut_connections_are_resumed_inside_tls(server: RecordingServer, authority: Authority) -> None:
    with cutting_proxy(int(server.url.rpartition(":")[2])) as proxy:
        connection = Connection(
            proxy.url.replace("http", "https"), credentials=shown(authority, "wall"), pauses_s=(0.0,) * 3
        )
        with RemoteStore("", connection=connection) as remote:
            proxy.cut_after = lambda number, way: 3500 if way == "down" and number < 2 else None
            assert remote.gops("gate") == server.store.gops("gate")


def test_files_that_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    folder = authority.path.parent
    (tmp_path / "junk.pem").write_text("junk")
    wall, other = str(folder / "wall.pem"), str(folder / "stranger.key")
    for credentials, match in (
        (Credentials(ca=str(tmp_path / "none.pem")), "cannot read the certificates"),
        (Credentials(ca=str(tmp_path / "junk.pem")), "not certificates"),
        (Credentials(cert=wall, key=str(tmp_path / "none.key")), "no such file"),
        (Credentials(cert=wall, key=other), "not that of the certificate"),
        (Credentials(cert=str(tmp_path / "junk.pem")), "in PEM form"),
        (Credentials(key=other), "without its certificate"),
    ):
        with pytest.raises(UsageError, match=match):
            RemoteStore("https://127.0.0.1:9", credentials=credentials)
    assert "sesame" not in repr(Credentials(token="sesame"))


def test_a_site_whose_certificate_is_not_there(tmp_path: Path, authority: Authority) -> None:
    site = site_of(tmp_path, authority)
    (tmp_path / "pki").unlink()
    with pytest.raises(ConfigError, match="no such file"):
        RecordingServer(site, "rec-1").start()


def test_commands(tmp_path: Path, server: RecordingServer, authority: Authority) -> None:
    folder = authority.path.parent
    environ = {
        "FOVIDEO_CA": str(authority.path),
        "FOVIDEO_CERT": str(folder / "spare-1.pem"),
        "FOVIDEO_KEY": str(folder / "spare-1.key"),
    }
    with open_store(tmp_path / "buffer") as spare:
        record(spare, 200, 100)
    line = one_line(
        fovideo("merge", tmp_path / "buffer", server.url, "--ca", authority.path, FOVIDEO_TOKEN="sesame-wall")
    )
    assert "may not insert footage" in line
    assert "sesame" not in line
    (pushed,) = fovideo_json("merge", tmp_path / "buffer", server.url, **environ)["streams"]
    assert (pushed["inserted_frames"], pushed["verified"]) == (100, True)
    (pulled,) = fovideo_json("merge", server.url, tmp_path / "buffer", **environ)["streams"]
    assert pulled["inserted_frames"] == 200


def test_clients_come_and_go_while_it_runs(server: RecordingServer, site: Site, authority: Authority) -> None:
    text = site.path.read_text()
    with ask(server.url, shown(authority, token="sesame-wall")) as remote:
        assert remote.streams()
        site.path.write_text(text.replace("sesame-wall", "sesame-2"))
        server.reload_file(site.path)
        with pytest.raises(PeerUnauthorized):
            remote.streams()
    with ask(server.url, shown(authority, token="sesame-2")) as remote:
        assert remote.streams()
    site.path.write_text(text.replace('"optional"', '"required"'))
    with pytest.raises(ConfigError, match="cannot change while it runs"):
        server.reload_file(site.path)


def test_a_spare_watches_over_tls(tmp_path: Path, authority: Authority) -> None:
    (port,) = free_ports(1)
    site = site_of(tmp_path, authority, "required")
    site.path.write_text(
        site.path.read_text()
        .replace('"127.0.0.1:0"\nurl = "https://127.0.0.1:9"', f'"127.0.0.1:{port}"')
        .replace('name = "plant"', 'name = "plant"\ntoken = "sesame-plant"')
    )
    site = load_site(site.path)
    assert site.reached_at(site.server("rec-1")) == f"https://127.0.0.1:{port}"
    answered = threading.Event()
    with RecordingServer(site, "rec-1"), Spare(site, "spare-1") as spare:
        for _ in range(600):
            if spare.health().servers["rec-1"].answered_ns:
                break
            answered.wait(0.05)
        watched = spare.health().servers["rec-1"]
        assert watched.answered_ns
        assert watched.error == ""


def test_custody_over_tls(tmp_path: Path, server: RecordingServer, authority: Authority) -> None:
    """Pushed with a manifest; the server's copy is verified from outside; one changed byte is named."""
    folder = authority.path.parent
    environ = {
        "FOVIDEO_CA": str(authority.path),
        "FOVIDEO_CERT": str(folder / "spare-1.pem"),
        "FOVIDEO_KEY": str(folder / "spare-1.key"),
    }
    with open_store(tmp_path / "buffer") as spare:
        record(spare, 200, 100, pending=True, size=3000)
    manifest = tmp_path / "outage.manifest"
    pushed = fovideo_json("merge", tmp_path / "buffer", server.url, "--manifest", manifest, **environ)
    assert pushed["manifest"]["frames"] == 100
    assert fovideo("check", server.url, "--manifest", manifest, **environ).returncode == 0
    with open_store(tmp_path / "buffer") as spare:
        assert not spare.unsettled()
    row = server.store.gops("gate")[-1]
    (origin,) = {server.store.provenances("gate")[row.provenance].inserted_from}
    assert origin
    part = server.store.read("gate", row)
    with Path(part.path).open("r+b") as file:
        file.seek(part.offset + part.size_bytes - 100)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    done = fovideo("check", server.url, "--manifest", manifest, **environ)
    assert done.returncode == 1
    assert "changed from" in done.stdout
