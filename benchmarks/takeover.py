"""`python -m benchmarks.takeover`: random kills of a recording server in hot standby, one after the other.

Measures, for each, how long the spare took to find out and to have the first frames after the kill on its
disk, and counts what is missing at the end, by the numbers in the frames. Writes takeover.json and .png.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fovideo.cli.demo_judge import Verdict, judge
from fovideo.cli.demo_site import CameraProcess, DemoSite, demo_site
from fovideo.replay import make_clip
from fovideo.site import load_site
from fovideo.store import Store
from fovideo.times import NS_PER_S

SETTINGS = '[detection]\nhandback_after = "1s"\nmerge_every = "500ms"\n'
"""Only what makes it shorter: detection and pre-roll are the defaults."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--docs", type=Path, default=Path("docs/benchmarks"), help="where the results go")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/fovideo-takeover"), help="scratch")
    options = parser.parse_args()
    folder = options.folder / str(time.time_ns())
    folder.mkdir(parents=True)
    found = run(folder, options.kills, random.Random(options.seed))
    options.docs.mkdir(parents=True, exist_ok=True)
    (options.docs / "takeover.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    draw(found, options.docs / "takeover.png")
    print(json.dumps({key: value for key, value in found.items() if key != "kills"}, indent=1))


def run(
    folder: Path,
    kills: int,
    chance: random.Random,
    *,
    standby: str = "hot",
    at_rest: Callable[[DemoSite, dict[str, Any]], dict[str, Any]] = lambda site, health: {},
) -> dict[str, Any]:
    """The measurements, as they go into the file. Times in seconds.

    standby: of all cameras. at_rest: called before the first kill with the spare's health; what it measures.
    """
    with demo_site(folder) as site:
        cameras = _start(site, folder, standby)
        names = [camera.name for camera in cameras]
        plan = load_site(folder / "site.toml")
        server, spare = plan.server("rec-1").reached_at, plan.spare("spare-1").reached_at
        site.start("rec-1", "serve")
        site.start("spare-1", "spare")
        site.wait_for(server, lambda health: _edge_ns(health, names) > 0, "the server records")
        heard = [] if standby == "cold" else names
        site.wait_for(spare, lambda health: _hears(health, heard), "the spare stands by")
        rest = at_rest(site, site.wait_for(spare, _at_rest, "all is handed back", 120))
        begin_ns = time.time_ns()
        results = []
        for number in range(kills):
            site.wait_for(spare, _at_rest, "all is handed back", 120)
            time.sleep(1 + 2 * chance.random())  # anywhere in a GOP, a commit, a poll
            site.kill("rec-1")
            killed_ns = time.time_ns()
            taken = site.wait_for(spare, lambda h, at=killed_ns: _takeover_ns(h) > at, "a takeover", 60)
            site.wait_for(spare, lambda h, at=killed_ns: _edge_ns(h, names) > at, "frames on its disk", 60)
            durable_s = (time.time_ns() - killed_ns) / NS_PER_S
            time.sleep(2 * chance.random())
            started_ns = time.time_ns()
            site.start("rec-1", "serve")
            site.wait_for(spare, _at_rest, "all is handed back", 120)
            results.append(
                {
                    "detection_s": round((_takeover_ns(taken) - killed_ns) / NS_PER_S, 3),
                    "on_disk_s": round(durable_s, 3),
                    "handback_s": round((time.time_ns() - started_ns) / NS_PER_S, 3),
                }
            )
            print(f"kill {number + 1}: {results[-1]}", file=sys.stderr, flush=True)
        end_ns = time.time_ns() - NS_PER_S // 5
        site.wait_for(server, lambda health: _edge_ns(health, names) >= end_ns, "the last frames", 60)
        site.stop("spare-1")
        site.stop("rec-1")
        verdicts = [_judged(folder, camera, begin_ns, end_ns) for camera in cameras]
    return {
        **rest,
        "kills": results,
        "detection_s": _spread([each["detection_s"] for each in results]),
        "on_disk_s": _spread([each["on_disk_s"] for each in results]),
        "handback_s": _spread([each["handback_s"] for each in results]),
        "frames_sent": sum(verdict.sent for verdict in verdicts),
        "frames_missing": sum(verdict.missing for verdict in verdicts),
        "frames_twice": sum(verdict.duplicate for verdict in verdicts),
    }


def _start(site: DemoSite, folder: Path, standby: str) -> list[CameraProcess]:
    clips = [folder / "gate.mp4", folder / "yard.mp4"]
    make_clip(clips[0], width=320, height=180, seconds=6, gop=50, seed=1)
    make_clip(clips[1], width=320, height=180, seconds=5, gop=25, b_frames=2, seed=2)
    cameras = [site.start_camera(number, clip) for number, clip in enumerate(clips)]
    site.write_config(cameras, f'{SETTINGS}[defaults.camera]\nstandby = "{standby}"\n')
    return cameras


def _judged(folder: Path, camera: CameraProcess, begin_ns: int, end_ns: int) -> Verdict:
    with Store.open(folder / "rec-1") as store:
        return judge(
            store, camera.name, camera.number, camera.frame_at(begin_ns) + 1, camera.frame_at(end_ns)
        )


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "least": ordered[0],
        "median": ordered[len(ordered) // 2],
        "p95": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))],
        "most": ordered[-1],
    }


def _watched(health: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = health.get("servers", {}).get("rec-1", {})
    return found


def _takeover_ns(health: dict[str, Any]) -> int:
    return int(_watched(health).get("takeover_ns", 0))


def _at_rest(health: dict[str, Any]) -> bool:
    watched = _watched(health)
    return watched.get("state") == "watching" and not watched.get("unmerged_frames")


def _hears(health: dict[str, Any], names: list[str]) -> bool:
    return all(health.get("cameras", {}).get(name, {}).get("state") == "live" for name in names)


def _edge_ns(health: dict[str, Any], names: list[str]) -> int:
    return min(int(health.get("cameras", {}).get(name, {}).get("durable_to_ns", 0)) for name in names)


def draw(found: dict[str, Any], path: Path) -> bool:
    """A PNG of the distribution; False without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    kills = len(found["kills"])
    for key, label in (("detection_s", "the spare stands in"), ("on_disk_s", "first frames on its disk")):
        values = sorted(each[key] for each in found["kills"])
        axes.step(values, [(n + 1) / kills for n in range(kills)], where="post", label=label)
    axes.axvline(2, color="black", linewidth=1, linestyle=":", label="promised detection")
    lost = f"{found['frames_missing']} of {found['frames_sent']} frames missing"
    axes.set(
        xlabel="seconds after the kill",
        ylabel="share of the kills",
        xlim=(0, None),
        ylim=(0, 1.02),
        title=f"{kills} random kills in hot standby: {lost}",
    )
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110, bbox_inches="tight")
    pyplot.close(figure)
    return True


if __name__ == "__main__":
    main()
