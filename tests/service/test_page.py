"""The reference page of the HTTP interface shows what is answered."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from served import health_of, open_store, record

from fovideo.merge.doing.running import MergeStatus
from fovideo.peer import Health, WatchedServer
from fovideo.service.metrics import HealthCollector
from fovideo.service.routes import timeline_routes

PAGE = (Path(__file__).parents[2] / "docs/ref/http.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE, re.S)


def plain(text: str | bytes) -> object:
    return msgspec.json.decode(text)


def test_the_examples_are_whole() -> None:
    health = msgspec.json.decode(EXAMPLES[0], type=Health, strict=True)
    assert plain(EXAMPLES[0]) == plain(msgspec.json.encode(health.as_json()))
    for example, kind in zip(EXAMPLES[1:], (MergeStatus, WatchedServer), strict=True):
        assert plain(example) == plain(msgspec.json.encode(msgspec.json.decode(example, type=kind)))


def test_every_route_is_there(tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        record(store)
        for route in timeline_routes(store, None):
            path = route.path.replace("{stream}", "S").replace("{serial:int}", "SERIAL")
            assert f"/v1{path}" in PAGE
        health = health_of(store)
    servers = {"rec-1": WatchedServer(state="watching")}
    for family in HealthCollector(lambda: msgspec.structs.replace(health, servers=servers)).collect():
        assert family.name.removeprefix("fovideo_camera") in PAGE, family.name
