"""A TCP proxy on loopback that cuts connections where a test wants it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class CuttingProxy:
    """Passes bytes on to a port of this machine.

    cut_after: is asked, for each connection (numbered from 0) and direction ("up" = towards the
    server), after how many bytes it is to be cut; None = never. Counted for the whole connection.
    change_at: the same for a byte that arrives changed.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.cut_after: Callable[[int, str], int | None] = lambda number, direction: None
        self.change_at: Callable[[int, str], int | None] = lambda number, direction: None
        self.refusing = False
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._closed = True
        self._listener.close()
        self.cut_all()

    def refuse(self, refusing: bool = True) -> None:
        """Cut everything and let nobody through, or let them through again."""
        self.refusing = refusing
        if refusing:
            self.cut_all()

    def cut_all(self) -> None:
        """Cut every connection that is open now."""
        with self._lock:
            victims = list(self._open)
        for victim in victims:
            _reset(victim)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            if self.refusing:
                _reset(client)
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _reset(client)
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, direction in ((client, server, "up"), (server, client, "down")):
                limits = self.cut_after(number, direction), self.change_at(number, direction)
                threading.Thread(target=self._pass_on, args=(source, sink, *limits), daemon=True).start()

    def _pass_on(
        self, source: socket.socket, sink: socket.socket, limit: int | None, wrong: int | None
    ) -> None:
        try:
            while data := source.recv(65536):
                if wrong is not None and wrong < len(data):
                    data = data[:wrong] + bytes([data[wrong] ^ 0x10]) + data[wrong + 1 :]
                    wrong = None
                wrong = None if wrong is None else wrong - len(data)
                if limit is not None and len(data) >= limit:
                    sink.sendall(data[:limit])
                    break
                sink.sendall(data)
                limit = None if limit is None else limit - len(data)
            else:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
        except OSError:
            pass
        _reset(source)
        _reset(sink)
        with self._lock:
            self._open -= {source, sink}


def _reset(victim: socket.socket) -> None:
    """Close so that the other end sees a reset."""
    with contextlib.suppress(OSError):
        victim.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        victim.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        victim.close()


@contextmanager
def cutting_proxy(port: int) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
