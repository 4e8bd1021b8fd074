"""A peer whose answer hardly comes."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fovideo.peer import Connection, flow
from fovideo.peer.connection import Unanswered
from fovideo.peer.flow import LEAST_BYTES, WINDOW_S, Flow, TooSlow

pieces = st.lists(st.tuples(st.floats(0, 2 * WINDOW_S), st.integers(1, 1 << 20)), max_size=30)


@given(pieces)
def test_what_comes_at_a_pace_is_taken(pieces: list[tuple[float, int]]) -> None:
    """Each piece brings enough for the time that it took, whatever was done between them."""
    now = [0.0]
    watched = Flow(lambda: now[0])
    for waited_s, size_bytes in pieces:
        since_s = watched.waiting()
        now[0] += waited_s
        watched.took(since_s, size_bytes + int(LEAST_BYTES * max(1, waited_s / WINDOW_S)))
        now[0] += 1000


@given(st.floats(0, 1e6), st.floats(0.1, WINDOW_S))
def test_what_trickles_is_given_up(first_s: float, step_s: float) -> None:
    now = [0.0]
    watched = Flow(lambda: now[0])
    now[0] += first_s
    watched.took(0.0, 1)

    def trickle() -> None:
        for _ in range(int(2 * WINDOW_S / step_s) + 2):
            since_s = watched.waiting()
            now[0] += step_s
            watched.took(since_s, 1)

    with pytest.raises(TooSlow):
        trickle()


@contextmanager
def trickling(head: bytes) -> Iterator[str]:
    """URL of a server that answers with this, and then with a byte at a time."""
    ended = threading.Event()

    def answer(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as client:
            client.recv(65536)
            client.sendall(head)
            while not ended.wait(0.01):
                client.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nX-",  # not even its head ends
    ],
)
def test_rows_that_trickle(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "WINDOW_S", 0.2)
    with trickling(head) as url, pytest.raises(Unanswered, match="hardly comes"):
        Connection(url).download("/streams/gate/data", 0, 999_999, lambda data: None)


def test_an_answer_that_trickles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "WINDOW_S", 0.2)
    with trickling(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n") as url:
        connection = Connection(url)
        with pytest.raises(Unanswered, match="hardly comes"):
            connection.get("/health")
        connection.close()
