"""Free TCP ports on loopback, for what is started later.

They lie below the ports that systems give to outgoing connections, and each pytest worker has a block of its
own: nobody else takes one before it is used.
"""

from __future__ import annotations

import itertools
import os
import random
import socket

_FIRST, _BLOCK = 12_000, 2_500  # Linux gives outgoing connections 32768 and up
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_begin = random.SystemRandom().randrange(_BLOCK)
_candidates = (_FIRST + _worker * _BLOCK + (_begin + n) % _BLOCK for n in itertools.count())


def free_port() -> int:
    while True:
        port = next(_candidates)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def free_ports(count: int) -> list[int]:
    return [free_port() for _ in range(count)]
