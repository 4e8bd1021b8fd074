"""`python -m benchmarks.standby`: what hot, warm and cold standby cost a spare, and lose at a kill.

For each mode a server is killed at random instants, and what is missing in the end is counted by the numbers
in the frames. Before that the spare is left alone for some seconds, and its memory and CPU are read from
the kernel's accounts. Writes standby.json, a table on standard output and standby.png; modes that are not
named keep what an earlier run found.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path
from typing import Any

from benchmarks.accounting import cpu_ns, pss_bytes, shared_pss_bytes
from benchmarks.takeover import run
from fovideo.cli.demo_site import DemoSite

MODES = ("hot", "warm", "cold")
FRAMES_PER_S = 25
REST_S = 12.0
"""Longer than a pre-roll, so that the rings are as full as they get."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.standby", description=__doc__)
    parser.add_argument("modes", nargs="*", default=MODES, metavar="MODE", help="hot, warm, cold; all")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--docs", type=Path, default=Path("docs/benchmarks"), help="where the results go")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/fovideo-standby"), help="scratch")
    options = parser.parse_args()
    if unknown := set(options.modes) - set(MODES):
        parser.error(f"no such mode: {', '.join(sorted(unknown))}")
    options.docs.mkdir(parents=True, exist_ok=True)
    path = options.docs / "standby.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for mode in options.modes:
        folder = options.folder / str(time.time_ns())
        folder.mkdir(parents=True)
        chance = random.Random(options.seed)
        found[mode] = run(folder, options.kills, chance, standby=mode, at_rest=_cost)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    _draw(found, options.docs / "standby.png")
    print(table(found))


def table(found: dict[str, Any]) -> str:
    """The results as Markdown. Of a camera: memory for frames, share of a core, frames lost at a kill."""
    lines = [
        "| | sessions a camera | frames in memory a camera | CPU a camera | the spare in all "
        "| detection, median (most) | frames lost a kill and camera | seconds lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for mode in MODES:
        if mode not in found:
            continue
        each = found[mode]
        cameras = each["cameras"]
        lost = each["frames_missing"] / len(each["kills"]) / cameras
        lines.append(
            f"| `{mode}` | {each['sessions'] / cameras:.0f} | {each['ring_bytes'] / cameras / 1e6:.2f} MB "
            f"| {100 * each['cpu_share'] / cameras:.2f} % of a core | {each['memory_bytes'] / 1e6:.0f} MB "
            f"| {each['detection_s']['median']:.1f} s ({each['detection_s']['most']:.1f} s) "
            f"| {lost:.1f} | {lost / FRAMES_PER_S:.2f} |"
        )
    return "\n".join(lines)


def _cost(site: DemoSite, health: dict[str, Any]) -> dict[str, Any]:
    """What the spare takes while it only watches."""
    pid = site.pid("spare-1")
    time.sleep(REST_S)
    began_ns, used_ns = time.monotonic_ns(), cpu_ns([pid])
    time.sleep(REST_S)
    took_ns = time.monotonic_ns() - began_ns
    live = sum(camera["state"] == "live" for camera in health["cameras"].values())
    return {
        "cameras": 2,
        "sessions": live,
        "cpu_share": round((cpu_ns([pid]) - used_ns) / took_ns, 5),
        "memory_bytes": pss_bytes([pid]),
        "ring_bytes": shared_pss_bytes([pid]),
    }


def _draw(found: dict[str, Any], path: Path) -> None:
    """A PNG of detection and loss by mode; nothing without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    modes = [mode for mode in MODES if mode in found]
    for mode in modes:
        kills = found[mode]["kills"]
        values = sorted(kill["on_disk_s"] for kill in kills)
        left.step(values, [(n + 1) / len(values) for n in range(len(values))], where="post", label=mode)
    left.set(xlabel="seconds from the kill to frames on the spare's disk", ylabel="share of the kills")
    left.set(xlim=(0, None), ylim=(0, 1.02))
    left.legend(loc="lower right")
    lost = [
        found[m]["frames_missing"] / len(found[m]["kills"]) / found[m]["cameras"] / FRAMES_PER_S
        for m in modes
    ]
    right.bar(modes, lost)
    right.set(ylabel="seconds of a camera lost by a kill")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
