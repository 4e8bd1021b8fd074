"""Whether something answers that need not be fovideo's: a port, a web or RTSP server, a command, a host."""

from __future__ import annotations

import shlex
import socket
import subprocess
import time
from urllib.parse import urlsplit

import httpx

from fovideo.peer import Unanswered
from fovideo.platform.echo import answers_echo

_RTSP_PORT = 554


def reach(target: str, timeout_s: float) -> None:
    """Ask once. Unanswered (refused: a machine said that nobody listens there) if it does not answer.

    tcp: the connection is made. http, https: any answer below 500. rtsp: any RTSP answer to OPTIONS. ping:
    an echo. command: it ends with 0; its output is ignored.
    """
    scheme, _, rest = target.partition(":")
    if scheme == "command":
        return _command(rest, timeout_s)
    parts = urlsplit(target)
    host = parts.hostname or ""
    if scheme == "ping":
        if not answers_echo(host, timeout_s):
            raise Unanswered("no answer to an echo request", where=host)
        return None
    if scheme in ("http", "https"):
        return _http(target, timeout_s)
    where = f"{host}:{parts.port or _RTSP_PORT}"
    try:
        with socket.create_connection((host, parts.port or _RTSP_PORT), timeout_s) as link:
            if scheme == "rtsp":
                _options(link, f"rtsp://{where}/", where, timeout_s)
    except ConnectionRefusedError:
        raise Unanswered("nothing listens there", where=where, refused=True) from None
    except TimeoutError:
        raise Unanswered("no answer in time", where=where) from None
    except OSError as error:
        raise Unanswered(f"cannot connect ({error.strerror or error})", where=where) from None
    return None


def _options(link: socket.socket, url: str, where: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    link.sendall(f"OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: fovideo\r\n\r\n".encode())
    answer = b""
    while len(answer) < len(b"RTSP/1.0"):
        link.settimeout(max(deadline - time.monotonic(), 0.001))
        piece = link.recv(256)
        if not piece:
            break
        answer += piece
    if not answer.startswith(b"RTSP/"):
        raise Unanswered("no RTSP server answers there", where=where)


def _http(url: str, timeout_s: float) -> None:
    where = url.partition("?")[0]
    try:
        with httpx.Client(timeout=timeout_s, trust_env=False, verify=False) as client:
            status = client.get(url).status_code
    except httpx.TimeoutException:
        raise Unanswered("no answer in time", where=where) from None
    except httpx.ConnectError as error:
        refused = "refused" in str(error).lower()
        what = "nothing listens there" if refused else "cannot connect"
        raise Unanswered(what, where=where, refused=refused) from None
    except httpx.HTTPError as error:
        raise Unanswered(f"no HTTP answer ({type(error).__name__})", where=where) from None
    if status >= 500:
        raise Unanswered(f"answers {status}", where=where)


def _command(line: str, timeout_s: float) -> None:
    words = shlex.split(line)
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unanswered("does not end in time", where=words[0]) from None
    except OSError as error:
        raise Unanswered(f"cannot be run ({error.strerror})", where=words[0]) from None
    if done.returncode:
        raise Unanswered(f"ended with status {done.returncode}", where=words[0])
