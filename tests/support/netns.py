"""A network of machines: each a network namespace on one bridge, and can be cut off. Needs root, iproute2."""

from __future__ import annotations

import contextlib
import ctypes
import os
import queue
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

Answer = TypeVar("Answer")

_SPACES = Path("/run/netns")
_NET = "10.77.0."
_CLONE_NEWNET = 0x40000000


def why_not() -> str:
    """Why there can be no such network here; "" if there can."""
    for program, package in (("ip", "iproute2"), ("nsenter", "util-linux")):
        if shutil.which(program) is None:
            return f"needs {program} ({package})"
    if os.geteuid() != 0:
        return "no privilege: needs root for network namespaces"
    name = f"fov{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"no privilege: cannot make network namespaces: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return ""


class Network:
    """Machines by name; each has an address of its own. The hub joins them and is where the test listens."""

    def __init__(self) -> None:
        self._prefix = f"fov{os.getpid()}"
        self._made: list[str] = []
        self.gateway = f"{_NET}1"

    def build(self, machines: tuple[str, ...]) -> None:
        self._ports = {name: f"p{number}" for number, name in enumerate(machines)}
        self._addresses = {name: f"{_NET}{10 + number}" for number, name in enumerate(machines)}
        self._hub = self._namespace("hub")
        self._run("-n", self._hub, "link", "add", "name", "hub0", "type", "bridge")
        self._run("-n", self._hub, "addr", "add", f"{self.gateway}/24", "dev", "hub0")
        self._run("-n", self._hub, "link", "set", "hub0", "up")
        for name in machines:
            space, port = self._namespace(name), self._ports[name]
            self._run(
                *("-n", self._hub, "link", "add", "name", port, "type", "veth"),
                *("peer", "name", "eth0", "netns", space),
            )
            self._run("-n", self._hub, "link", "set", port, "master", "hub0", "up")
            self._run("-n", space, "addr", "add", f"{self._addresses[name]}/24", "dev", "eth0")
            self._run("-n", space, "link", "set", "eth0", "up")
        self.listener = Inside(_SPACES / self._hub)

    def address(self, name: str) -> str:
        return self._addresses[name]

    def command(self, name: str, *command: str | Path) -> list[str]:
        """The command as it runs on that machine; its process is the command's own.

        Not `ip netns exec`: that gives it mounts of its own, and a disk could not be unmounted any more.
        """
        return ["nsenter", f"--net={_SPACES / f'{self._prefix}-{name}'}", *map(str, command)]

    def cut(self, name: str) -> None:
        """Nothing reaches the machine or leaves it; nobody is told."""
        self._run("-n", self._hub, "link", "set", self._ports[name], "down")

    def heal(self, name: str) -> None:
        self._run("-n", self._hub, "link", "set", self._ports[name], "up")

    def close(self) -> None:
        if hasattr(self, "listener"):
            self.listener.close()
        for name in self._made:
            with contextlib.suppress(subprocess.CalledProcessError):
                self._run("netns", "del", name)

    def _namespace(self, name: str) -> str:
        full = f"{self._prefix}-{name}"
        self._run("netns", "add", full)
        self._made.append(full)
        self._run("-n", full, "link", "set", "lo", "up")
        return full

    def _run(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)


class Inside:
    """A thread that lives in a network namespace and calls functions there."""

    def __init__(self, namespace: Path) -> None:
        self._namespace = namespace
        self._orders: queue.Queue[
            tuple[Callable[[], Any], queue.Queue[tuple[Any, BaseException | None]]] | None
        ]
        self._orders = queue.Queue()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], Answer]) -> Answer:
        """What the function returns or raises there."""
        answers: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()
        self._orders.put((function, answers))
        answer, error = answers.get()
        if error is not None:
            raise error
        found: Answer = answer
        return found

    def close(self) -> None:
        self._orders.put(None)
        self._thread.join()

    def _live(self) -> None:
        fd = os.open(self._namespace, os.O_RDONLY)
        refused = ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET)
        os.close(fd)
        while (order := self._orders.get()) is not None:
            function, answers = order
            try:
                assert not refused, "cannot enter the namespace"
                answers.put((function(), None))
            except BaseException as error:
                answers.put((None, error))


@contextmanager
def network(*machines: str) -> Iterator[Network]:
    made = Network()
    try:
        made.build(machines)
        yield made
    finally:
        made.close()
