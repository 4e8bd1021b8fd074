"""`python -m benchmarks`: all paths beside their peers in one run; writes the table, its JSON and the plots.

The defaults fit a small machine in about ten minutes; --full takes the sizes of the targets.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import msgspec

from benchmarks import plots, report
from benchmarks.results import Row
from benchmarks.rows import busy, disk, ingest, merging, ring, seek
from benchmarks.settings import Settings

_ORDER = ("ring", "ingest", "busy", "disk", "merge", "seek")
PARTS = ("ring", "disk", "seek", "merge", "ingest", "busy")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument(
        "--folder", type=Path, default=Path("/var/tmp/fovideo-benchmarks"), help="scratch, on the disk"
    )
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the table goes")
    parser.add_argument(
        "--full", action="store_true", help="10 GB, 10 M frames, 10 M GOPs, up to 1,000 cameras"
    )
    parser.add_argument("--tiny", action="store_true", help="seconds, to see that it works")
    for name in ("rounds", "cameras", "gops", "plan-frames", "merge-bytes"):
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(unknown)}")
    settings = _settings(options)
    settings.folder.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    )
    found: dict[str, list[Row]] = {}
    lines: dict[str, list[tuple[int, float]]] = {}
    for part in options.parts:
        print(f"{part} ...", file=sys.stderr, flush=True)
        match part:
            case "ingest":
                found[part], lines = ingest.rows(settings)
            case "merge":
                found[part] = merging.rows(settings)
            case _:
                found[part] = {"ring": ring, "disk": disk, "seek": seek, "busy": busy}[part].rows(settings)
    for part, made in found.items():
        for row in made:
            row.part = part
    kept, kept_lines = report.earlier(options.docs, options.parts)
    rows = [*kept, *(row for made in found.values() for row in made)]
    rows.sort(key=lambda row: _ORDER.index(row.part))
    lines = lines or kept_lines
    names = plots.draw(rows, lines, options.docs / "benchmarks")
    print(report.write(rows, lines, names, options.docs))


def _settings(options: argparse.Namespace) -> Settings:
    settings = Settings(folder=options.folder)
    if options.full:
        settings = msgspec.structs.replace(
            settings,
            line=(10, 50, 100, 200, 400),
            native_line=(10, 50, 100, 200, 400, 1000),
            light_line=(100, 400, 1000),
            seconds=10.0,
            merge_bytes=10 << 30,
            gops=10_000_000,
            rounds=5,
        )
    if options.tiny:
        settings = msgspec.structs.replace(
            settings,
            rounds=1,
            cameras=2,
            line=(1, 2),
            native_line=(1, 2),
            seconds=0.5,
            warmup=2.0,
            merge_bytes=1 << 22,
            plan_frames=1000,
            gops=1000,
            records=1000,
        )
    given = {
        name: value
        for name in ("rounds", "cameras", "gops", "plan_frames", "merge_bytes")
        if (value := getattr(options, name)) is not None
    }
    return msgspec.structs.replace(settings, **given)


if __name__ == "__main__":
    main()
