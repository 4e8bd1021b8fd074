"""Things that are not fovideo's: do they answer? And a spare that stands in for one of them."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from free_ports import free_ports

from fovideo.errors import ConfigError
from fovideo.peer import Unanswered
from fovideo.platform.echo import answers_echo
from fovideo.service.outsider import Outsider
from fovideo.service.reaching import reach
from fovideo.site import load_site
from fovideo.site.target import as_target, target_problem
from fovideo.times import NS_PER_S


@contextmanager
def listener(answer: bytes = b"", *, silent: bool = False) -> Iterator[int]:
    """Takes connections, reads once, answers, and closes; or is silent until the end."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    if silent:
                        over.wait(60)
                    elif answer:
                        connection.recv(4096)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("scheme", "answer", "why"),
    [
        ("tcp", b"", ""),
        ("rtsp", b"RTSP/1.0 401 Unauthorized\r\n\r\n", ""),
        ("rtsp", b"HTTP/1.0 400 Bad Request\r\n\r\n", "no RTSP server"),
        ("http", b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ""),
        ("http", b"HTTP/1.0 503 Busy\r\nContent-Length: 0\r\n\r\n", "answers 503"),
        ("http", b"SSH-2.0-OpenSSH\r\n", "no HTTP answer"),
    ],
)
def test_a_server_that_answers(scheme: str, answer: bytes, why: str) -> None:
    with listener(answer) as port:
        target = f"{scheme}://127.0.0.1:{port}/"
        if not why:
            reach(target, 30)
            return
        with pytest.raises(Unanswered, match=why) as caught:
            reach(target, 30)
        assert not caught.value.refused


@pytest.mark.parametrize("scheme", ["tcp", "rtsp", "http"])
def test_nobody_listens(scheme: str) -> None:
    (port,) = free_ports(1)
    with pytest.raises(Unanswered, match="nothing listens") as caught:
        reach(f"{scheme}://127.0.0.1:{port}", 30)
    assert caught.value.refused


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_server_that_hangs(scheme: str) -> None:
    with listener(silent=True) as port, pytest.raises(Unanswered, match="in time"):
        reach(f"{scheme}://127.0.0.1:{port}", 0.2)


def test_a_command() -> None:
    reach(f"command:{sys.executable} -c 'print(1)'", 60)
    with pytest.raises(Unanswered, match="status 3"):
        reach(f"command:{sys.executable} -c 'raise SystemExit(3)'", 60)
    with pytest.raises(Unanswered, match="does not end"):
        reach("command:sleep 60", 0.1)
    with pytest.raises(Unanswered, match="cannot be run"):
        reach("command:/nonexistent/check", 1)


def test_a_host() -> None:
    if not answers_echo("127.0.0.1", 5):
        pytest.skip("this machine may not send echo requests")
    reach("ping://127.0.0.1", 5)
    with pytest.raises(Unanswered, match="echo"):
        reach("ping://no.such.host.invalid", 0.2)


def test_what_can_be_asked() -> None:
    assert as_target("10.0.0.1") == "ping://10.0.0.1"
    assert as_target("fe80::1") == "ping://[fe80::1]"
    assert as_target("tcp://10.0.0.1:80") == "tcp://10.0.0.1:80"
    assert not target_problem("command:/bin/true -x")
    for wrong in ("ftp://x", "tcp://x", "rtsp://", "command:", "command:'", "http://[", "nonsense"):
        assert target_problem(wrong), wrong


def test_an_outsider_tells_a_health() -> None:
    with listener() as port:
        outsider = Outsider("dvr", f"tcp://127.0.0.1:{port}", ["gate"], timeout_ns=30 * NS_PER_S)
        first = outsider.ask()
        assert first.cameras["gate"].durable_to_ns <= outsider.ask().cameras["gate"].durable_to_ns
        assert first.state == "recording"
        outsider.close()


SITE = """[site]
name = "plant"
gateways = ["10.0.0.1", "tcp://10.0.0.2:80"]
[arbitration]
etcd = ["http://10.0.0.5:2379"]
password_file = "secret"
ca = "ca.pem"
[[server]]
name = "rec-1"
listen = "127.0.0.1:8750"
store = "rec-1"
[[server]]
name = "dvr"
watch = "rtsp://10.0.0.7/"
merge_into = "rec-1"
[[spare]]
name = "spare-1"
listen = "127.0.0.1:8760"
store = "spare-1"
capacity = 3
[[camera]]
name = "gate"
server = "dvr"
url = "rtsp://10.0.0.8/"
standby = "cold"
priority = 7
"""


def test_the_tables(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    file.write_text(SITE)
    site = load_site(file)
    assert site.gateways == ("10.0.0.1", "tcp://10.0.0.2:80")
    assert site.arbitration.ca == str(tmp_path / "ca.pem")
    assert site.arbitration.ttl_ns == 6 * NS_PER_S
    assert site.server("dvr").reached_at == ""
    assert site.cameras[0].standby == "cold"
    wrong: list[tuple[str, str, str]] = [
        ('watch = "rtsp://10.0.0.7/"', 'watch = "telnet:x"', "no way to ask"),
        ('watch = "rtsp://10.0.0.7/"', "", "key 'listen' is missing"),
        ('merge_into = "rec-1"', 'merge_into = "dvr"', "is no server"),
        ('"10.0.0.1", ', '"tcp://10.0.0.1", ', "names no port"),
        ("http://10.0.0.5:2379", "10.0.0.5", "is no endpoint"),
        ('password_file = "secret"', 'ttl = "1s"', "less than 3 s"),
        ('store = "rec-1"', 'store = "rec-1"\nmerge_into = "rec-1"', "for servers with watch"),
    ]
    for old, new, why in wrong:
        file.write_text(SITE.replace(old, new, 1))
        with pytest.raises(ConfigError, match=why):
            load_site(file)
