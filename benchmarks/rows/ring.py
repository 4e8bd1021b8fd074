"""The ring beside memcpy and beside a queue of fixed slots."""

from __future__ import annotations

from benchmarks.compiled import queues, seconds
from benchmarks.results import Row
from benchmarks.settings import Settings

LARGE, SMALL = 40_960, 64


def rows(settings: Settings) -> list[Row]:
    program = queues(settings.folder / "bin")
    result = []
    for how in ("threads", "processes"):
        large = Row(
            what=f"ring, records of 40 kB, two {how}", unit="GB/s", peer="memcpy of one thread", target=0.9
        )
        small = Row(
            what=f"ring, records of 64 B, two {how}",
            unit="M records/s",
            peer="fixed-slot SPSC queue",
            target=2.0,
        )
        result += [large, small]
        if program is None:
            large.skipped = small.skipped = "no C compiler"
            continue
        few, many = settings.records, settings.records * 200
        for _ in range(max(settings.rounds, 9)):
            large.ours.append(few * LARGE / seconds(program, "ring", how, LARGE, few) / 1e9)
            large.theirs.append(few * LARGE / seconds(program, "memcpy", how, LARGE, few) / 1e9)
            small.ours.append(many / seconds(program, "ring", how, SMALL, many) / 1e6)
            small.theirs.append(many / seconds(program, "slots", how, SMALL, many) / 1e6)
    return result
