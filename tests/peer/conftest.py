"""A store, and a client that reaches it through the proxy of the test, which cuts connections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cutting_proxy import CuttingProxy
from served import open_store, record

from fovideo.peer import Connection, RemoteStore
from fovideo.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "store") as store:
        record(store, size=4000)
        yield store


@pytest.fixture
def client(proxy: CuttingProxy) -> Iterator[RemoteStore]:
    client = RemoteStore("", connection=Connection(proxy.url, pauses_s=(0.0, 0.0, 0.0)))
    yield client
    client.close()
