"""Typed documents are read by many threads, from the first moment on."""

from __future__ import annotations

import subprocess
import sys

TYPES = """
from __future__ import annotations
import msgspec

class Inner(msgspec.Struct):
    state: str
    cameras: dict[str, str] = {}

class Middle(msgspec.Struct):
    id: str
    inner: dict[str, Inner] = {}

class Outer(msgspec.Struct):
    name: str
    inner: dict[str, Inner] = {}
    middle: dict[str, Middle] = {}
    more: tuple[Inner, ...] = ()
"""
CODE = """
import sys, threading, types
import msgspec
from fovideo.decoding import convert, from_json, from_msgpack

sys.setswitchinterval(1e-6)
inner = {"state": "s"}
middle = {"id": "i", "inner": {"z": inner}}
plain = {"name": "n", "inner": {"x": inner}, "middle": {"y": middle}, "more": [inner]}
json, packed = msgspec.json.encode(plain), msgspec.msgpack.encode(plain)
for number in range(100):
    module = types.ModuleType(f"documents{number}")
    sys.modules[module.__name__] = module
    exec(sys.argv[1], module.__dict__)
    together, found = threading.Barrier(4), []

    def read(turn):
        together.wait()
        for _ in range(turn * 300):
            pass
        ways = (lambda: from_json(json, module.Outer), lambda: from_msgpack(packed, module.Outer),
                lambda: convert(plain, module.Outer))
        found.append(ways[turn % 3]())

    threads = [threading.Thread(target=read, args=(turn,)) for turn in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.middle["y"].inner["z"].state for each in found] == ["s"] * 4, found
"""


def test_the_first_of_its_kind_is_read_by_several_threads_at_once() -> None:
    """In a process of its own: with msgspec alone it dies of a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", CODE, TYPES], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr)
