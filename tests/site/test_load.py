"""site.toml: defaults, inheritance, paths, secrets, and one clear line for each mistake."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.errors import ConfigError
from fovideo.site import advice, load_site
from fovideo.site.fields import parse_listen

SMALLEST = """\
[site]
name = "plant"
[[server]]
name = "rec-1"
listen = "127.0.0.1:8750"
store = "rec-1"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:8760"
store = "spare-1"
[[camera]]
name = "gate"
server = "rec-1"
url = "rtsp://127.0.0.1:8554/cam0"
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "site.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_smallest_site(write, tmp_path):
    site = load_site(write(SMALLEST))
    assert site.name == "plant"
    assert site.server("rec-1").store == str(tmp_path / "rec-1")
    assert site.server("rec-1").reached_at == "http://127.0.0.1:8750"
    assert site.spare("spare-1").address == ("127.0.0.1", 8760)
    (camera,) = site.cameras_of("rec-1")
    assert (camera.name, camera.transport, camera.preroll_ns) == ("gate", "tcp", 10_000_000_000)
    assert site.server("rec-1").durability_ns == 1_000_000_000
    assert site.watched_by(site.spare("spare-1")) == site.servers


def test_durations_sizes_and_defaults(write):
    text = SMALLEST.replace('url = "rtsp', 'freeze = 2.5\nurl = "rtsp')
    text += """
[defaults.camera]
transport = "udp"
freeze = "9s"
[defaults.server]
quota = "500GB"
[detection]
poll = "250ms"
takeover_after = 3
"""
    site = load_site(write(text))
    assert site.cameras[0].transport == "udp"
    assert site.cameras[0].freeze_ns == 2_500_000_000
    assert site.servers[0].quota_bytes == 500 * 10**9
    assert site.spares[0].quota_bytes == 0
    assert site.servers[0].detection.poll_ns == 250_000_000
    assert site.servers[0].detection.takeover_after_ns == 3_000_000_000


def test_a_servers_detection_adds_to_the_sites(write):
    text = SMALLEST.replace('store = "rec-1"\n', 'store = "rec-1"\ndetection = { timeout = "2s" }\n')
    detection = load_site(write(text + '[detection]\npoll = "250ms"\n')).servers[0].detection
    assert (detection.poll_ns, detection.timeout_ns) == (250_000_000, 2_000_000_000)


def test_file_cameras_lie_beside_the_site(write, tmp_path):
    for url in ("clips/a.mp4", "file:clips/a.mp4"):
        site = load_site(write(SMALLEST.replace("rtsp://127.0.0.1:8554/cam0", url)))
        assert site.cameras[0].url == str(tmp_path / "clips/a.mp4")


def test_secrets(write, tmp_path, monkeypatch):
    text = SMALLEST.replace('name = "plant"\n', 'name = "plant"\ntoken_file = "token"\n')
    text = text.replace('url = "rtsp://', 'password_env = "GATE"\nurl = "rtsp://admin:pepper@')
    text = text.replace('store = "spare-1"\n', 'store = "spare-1"\ntoken = "own"\n')
    site = load_site(write(text))
    with pytest.raises(ConfigError, match="cannot read the token of 'rec-1'"):
        site.servers[0].secret_token()
    (tmp_path / "token").write_text("sesame\n")
    assert site.servers[0].secret_token() == "sesame"
    assert site.spares[0].secret_token() == "own"
    with pytest.raises(ConfigError, match="GATE"):
        site.cameras[0].secret_password()
    monkeypatch.setenv("GATE", "word")
    assert site.cameras[0].secret_password() == "word"
    assert "pepper" not in repr(site)
    assert "own" not in repr(site.spares)
    assert "pepper" in site.cameras[0].url


def test_an_own_secret_replaces_a_default_one(write):
    text = SMALLEST.replace('url = "rtsp', 'password = "mine"\nurl = "rtsp')
    site = load_site(write(text + '[defaults.camera]\nuser = "admin"\npassword_file = "pw"\n'))
    assert (site.cameras[0].user, site.cameras[0].secret_password()) == ("admin", "mine")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('listen = "127.0.0.1:8750"', "", r"\[\[server\]\] 'rec-1': key 'listen' is missing"),
        ('listen = "127.0.0.1:8750"', 'listen = "nowhere"', "'rec-1': listen = 'nowhere': not HOST:PORT"),
        ('listen = "127.0.0.1:8750"', 'listen = "a:99999"', "listen = 'a:99999'"),
        ('listen = "127.0.0.1:8750"', "listen = 8750", "key 'listen': expected text, got a whole number"),
        ('listen = "127.0.0.1:8750"', 'listen = ":8750"', "does not tell the spares where to reach it"),
        ('listen = "127.0.0.1:8760"', 'listen = "127.0.0.1:8750"', "same address as .*server.* 'rec-1'"),
        ('store = "spare-1"', 'store = "rec-1"', r"\[\[spare\]\] 'spare-1': has the same store folder"),
        ('name = "spare-1"', 'name = "rec-1"', r"\[\[spare\]\] 'rec-1': a server has this name"),
        (
            'server = "rec-1"',
            'server = "rec-9"',
            r"'gate': server 'rec-9' is not in .*\(servers here: rec-1",
        ),
        (
            'server = "rec-1"',
            'server = "rec-1"\nprerol = "5s"',
            r"unknown key 'prerol' \(did you .*'preroll'",
        ),
        ('server = "rec-1"', 'server = "rec-1"\npreroll = "soon"', "key 'preroll': not a duration: 'soon'"),
        ('server = "rec-1"', 'server = "rec-1"\npreroll = true', "key 'preroll': expected a duration"),
        ('server = "rec-1"', 'server = "rec-1"\npreroll = -1', "key 'preroll': negative"),
        (
            'server = "rec-1"',
            'server = "rec-1"\ntransport = "ip"',
            "key 'transport': invalid enum value",
        ),
        ('server = "rec-1"', 'server = "rec-1"\nbackoff_max = 0', "backoff_max is less"),
        ('server = "rec-1"', 'server = "rec-1"\npassword="a"\npassword_env="B"', "password and password_env"),
        ("rtsp://127.0.0.1:8554/cam0", "http://127.0.0.1/", "scheme 'http'"),
        ("rtsp://127.0.0.1:8554/cam0", "rtsp:///cam0", "names no host"),
        ("rtsp://127.0.0.1:8554/cam0", "rtsp://[::1/cam0", "url is no URL"),
        ('name = "gate"', 'name = "../gate"', "not a name: '../gate'"),
        ("[[camera]]", "[camera]", r"\[camera\]: is one table \(write \[\[camera\]\]"),
        ("[[camera]]", "[[kamera]]", r"unknown table \[kamera\] \(did you mean 'camera'"),
        ('[site]\nname = "plant"', "", r"table \[site\] is missing"),
        ('name = "plant"', "", r"\[site\]: key 'name' is missing"),
        ('name = "plant"', 'name = "plant', "not TOML: .*line 2"),
        ("[[spare]]", "[detection]\npoll = 0\n[[spare]]", "'rec-1': detection: poll is 0"),
        (
            "[[spare]]",
            "[detection]\npole = 1\n[[spare]]",
            r"\[detection\]: unknown key 'pole' \(.*'poll'",
        ),
        (
            "[[spare]]",
            '[defaults.camera]\nname = "x"\n[[spare]]',
            r"defaults.camera\]: key 'name' has no default",
        ),
        ("[[spare]]", "[defaults.camera]\naudio = 1\n[[spare]]", r"\[defaults.camera\]: key 'audio'"),
        ("[[spare]]", '[[spare]]\nservers = ["rec-2"]', "'spare-1': server 'rec-2' is not in this site"),
    ],
)
def test_mistakes(write, old, new, expected):
    assert old in SMALLEST
    path = write(SMALLEST.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_site(path)
    line = str(caught.value)
    assert line.startswith(str(path))
    assert re.search(expected, line), line
    assert "\n" not in line


def test_no_servers(write):
    with pytest.raises(ConfigError, match=r"there is no \[\[server\]\]"):
        load_site(write('[site]\nname = "plant"\n'))


def test_duplicate_cameras(write):
    camera = SMALLEST[SMALLEST.index("[[camera]]") :]
    with pytest.raises(ConfigError, match="'gate': another camera has this name"):
        load_site(write(SMALLEST + camera))


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff\xfe")])
def test_unreadable_file(tmp_path, make):
    make(tmp_path / "site.toml")
    with pytest.raises(ConfigError, match=r"site\.toml"):
        load_site(tmp_path / "site.toml")


def test_unknown_names_say_which_there_are(write):
    site = load_site(write(SMALLEST))
    with pytest.raises(ConfigError, match=r"no server named 'spare-1' \(servers here: rec-1\)"):
        site.server("spare-1")
    with pytest.raises(ConfigError, match=r"spares here: spare-1"):
        site.spare("x")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":80", ("", 80)),
        ("[::1]:0", ("::1", 0)),
        ("host:1", ("host", 1)),
        ("10.0.0.1:8750", ("10.0.0.1", 8750)),
    ],
)
def test_listen(text, expected):
    assert parse_listen(text) == expected


def test_advice(write):
    assert list(advice(load_site(write(SMALLEST)))) == []
    text = SMALLEST.replace('listen = "127.0.0.1:8750"', 'listen = "10.0.0.1:8750"')
    text = text.replace('url = "rtsp', 'preroll = "2s"\nurl = "rtsp')
    found = list(advice(load_site(write(text))))
    assert [problem.where for problem in found] == ["rec-1", "gate"]
    assert "token" in found[0].hint
    assert "9.2 s" in found[1].hint
    assert (
        list(
            advice(load_site(write(text.replace('preroll = "2s"', "") + '[defaults.server]\ntoken = "x"\n')))
        )
        == []
    )


@given(st.data())
def test_whatever_stands_in_the_file_is_a_site_or_one_clear_line(tmp_path_factory, data):
    """Lines are dropped, doubled and changed."""
    lines = SMALLEST.splitlines()
    junk = st.sampled_from(
        ["[server]", "name = 5", "listen = []", "preroll = 1e400", "[[camera]]", 'url = "x:/"']
    )
    change = st.tuples(st.integers(0, len(lines) - 1), st.none() | junk | st.text(max_size=20))
    for at, line in data.draw(st.lists(change, max_size=5)):
        lines[at : at + 1] = [] if line is None else [line, *lines[at : at + 1]]
    path = tmp_path_factory.mktemp("site") / "site.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    with contextlib.suppress(ConfigError):
        try:
            load_site(path)
        except ConfigError as error:
            line = str(error)
            raise
        line = str(path)
    assert "\n" not in line
    assert line.startswith(str(path))


def test_tls_and_clients(write, tmp_path):
    text = (
        SMALLEST
        + """
[tls]
cert = "pki/{name}.pem"
ca = "ca.pem"
[[client]]
name = "wall"
role = "viewer"
"""
    )
    site = load_site(write(text))
    assert site.reached_at(site.server("rec-1")) == "https://127.0.0.1:8750"
    assert site.tls.of("rec-1").cert == str(tmp_path / "pki/rec-1.pem")
    assert (site.tls.key, site.clients[0].role) == ("", "viewer")
    assert list(advice(site)) == []


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ('[tls]\nkey = "k"\n', "key without cert"),
        ('[tls]\ncert = "c"\nclient_certificates = "required"\n', "give both"),
        ('[tls]\ncert = "c"\nclient_certificates = "maybe"\n', "client_certificates"),
        ('[[client]]\nname = "wall"\nrole = "viewer"\n', "no token"),
        ('[[client]]\nname = "wall"\nrole = "king"\ntoken = "x"\n', "role"),
        ('[[client]]\nname = "rec-1"\nrole = "viewer"\ntoken = "x"\n', "name"),
        ('[[client]]\nname = "w"\nrole = "viewer"\ntoken = "x"\ntoken_env = "y"\n', "both given"),
    ],
)
def test_tls_and_clients_that_cannot_be(write, added, said):
    with pytest.raises(ConfigError, match=said):
        load_site(write(SMALLEST + added))


def test_an_http_url_beside_tls(write):
    text = SMALLEST.replace('store = "rec-1"', 'store = "rec-1"\nurl = "http://rec-1:8750"')
    with pytest.raises(ConfigError, match="not https"):
        load_site(write(text + '[tls]\ncert = "c"\n'))
