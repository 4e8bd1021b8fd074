"""`fovideo demo`: a server dies mid-GOP, a spare stands in, the server returns: every frame, each once."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import rich_click as click
from rich import box
from rich.table import Table

from fovideo.camera.config import CameraConfig
from fovideo.cli import params
from fovideo.cli.demo_judge import Verdict, judge, judge_by_witness
from fovideo.cli.demo_site import POLL_S, CameraProcess, DemoFailed, DemoSite, demo_site
from fovideo.cli.footage import scratch_folder
from fovideo.cli.output import errors, out, print_json
from fovideo.cli.timeline import show_streams
from fovideo.record import Recorder
from fovideo.replay import make_clip
from fovideo.site import load_site
from fovideo.store import Store
from fovideo.store.describe import StreamDescription, describe
from fovideo.times import NS_PER_S, format_duration

_BEFORE_S = 4.0
_DOWN_S = 6.0
_AFTER_S = 2.0


@click.command("demo")
@click.option(
    "--clip",
    "clips",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Footage for a camera (H.264 or H.265); once a camera. [default: two generated clips]",
)
@click.option(
    "--camera",
    "urls",
    multiple=True,
    metavar="URL",
    help="A camera of yours instead, judged against what an independent recorder receives; may be repeated.",
)
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep stores, logs and site.toml in this folder.",
)
@params.as_json
def command(clips: tuple[Path, ...], urls: tuple[str, ...], keep: Path | None, as_json: bool) -> int:
    """Show the whole path on real H.264 over real RTSP, each part its own process.

    Two cameras, a recording server and a spare; the server is killed with SIGKILL mid-GOP and restarted.
    Exit code 1 when any frame is missing from the healed timeline, or there twice.
    """
    with ExitStack() as stack:
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
        folder = keep if keep is not None else stack.enter_context(scratch_folder())
        site = stack.enter_context(demo_site(folder))
        story = Story(site, stack, quiet=as_json)
        cameras = story.cameras(list(clips) or ([] if urls else generated(folder)), urls)
        result, before, after = story.run(cameras)
    if as_json:
        print_json(result)
    else:
        _show(result, before, after)
    return (
        0
        if all(each["missing"] == each["duplicate"] == 0 and each["sent"] for each in result["cameras"])
        else 1
    )


def generated(folder: Path) -> list[Path]:
    """Two clips, made in that folder."""
    clips = [folder / "gate.mp4", folder / "yard.mp4"]
    make_clip(clips[0], width=640, height=360, seconds=6, gop=50, seed=1)
    make_clip(clips[1], width=640, height=360, seconds=5, gop=25, b_frames=2, seed=2)
    return clips


class _Witness:
    """A recorder of its own for the cameras that carry no markers."""

    def __init__(self, folder: Path, cameras: list[CameraProcess]) -> None:
        self._folder, self._cameras = folder, [each for each in cameras if not each.marked]
        self._recording = ExitStack()

    def __enter__(self) -> _Witness:
        if self._cameras:
            store = self._recording.enter_context(Store.open(self._folder, write=True, create=True))
            self._recorder = self._recording.enter_context(Recorder(store, name="witness"))
            for each in self._cameras:
                self._recorder.add(CameraConfig(name=each.name, url=each.url))
        return self

    def wait_for_all(self) -> None:
        """Until every camera has delivered to it."""
        deadline = time.monotonic() + 20
        while self._cameras and not all(each.written_frames for each in self._recorder.status().values()):
            if time.monotonic() > deadline:
                errors = "; ".join(each.error for each in self._recorder.status().values() if each.error)
                raise DemoFailed("a camera delivers nothing", hint=errors)
            time.sleep(POLL_S)

    def close(self) -> None:
        """Stop and write what came."""
        self._recording.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class Story:
    """The course of the demo. quiet: say nothing meanwhile."""

    def __init__(self, site: DemoSite, stack: ExitStack, *, quiet: bool) -> None:
        self._site, self._stack, self._quiet = site, stack, quiet
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        if not self._quiet:
            errors.print(f"{time.monotonic() - self._began:5.1f} s  {text}", highlight=False, markup=False)

    def cameras(self, clips: list[Path], urls: tuple[str, ...] = (), more: str = "") -> list[CameraProcess]:
        """Start them and write site.toml with these other tables."""
        cameras = [self._site.start_camera(number, clip) for number, clip in enumerate(clips)]
        cameras += [CameraProcess(f"cam{number}", number, url) for number, url in enumerate(urls, len(clips))]
        self._site.write_config(cameras, more)
        self.say(f"{len(cameras)} cameras stream over RTSP")
        return cameras

    def run(
        self, cameras: list[CameraProcess]
    ) -> tuple[dict[str, Any], list[StreamDescription], list[StreamDescription]]:
        site, names = self._site, [camera.name for camera in cameras]
        witness = self._stack.enter_context(_Witness(site.folder / "witness", cameras))
        site.start("rec-1", "serve")
        site.start("spare-1", "spare")
        plan = load_site(site.folder / "site.toml")
        server, spare = plan.server("rec-1").reached_at, plan.spare("spare-1").reached_at
        site.wait_for(server, lambda health: _all_durable(health, names), "the server records all cameras")
        site.wait_for(spare, lambda health: _all_live(health, names), "the spare holds all cameras")
        witness.wait_for_all()
        begin_ns = time.time_ns()
        self.say("the server records, the spare stands by")
        time.sleep(_BEFORE_S + random.random())  # anywhere in a GOP
        # A spare that heard the cameras first stands in until the server has what came before it.
        site.wait_for(spare, _is_watching, "the spare only watches")
        site.kill("rec-1")
        killed_ns = time.time_ns()
        self.say("the server is killed")
        taken = site.wait_for(spare, lambda health: _takeover_ns(health) > killed_ns, "the spare takes over")
        detection_ns = _takeover_ns(taken) - killed_ns
        self.say(f"the spare stands in, {format_duration(detection_ns)} after the kill")
        time.sleep(_DOWN_S)
        before = self._timeline()
        site.start("rec-1", "serve")
        self.say("the server is started again")
        started_ns = time.monotonic_ns()
        site.wait_for(spare, lambda health: _handed_back(health, names), "the spare hands back", 60)
        handback_ns = time.monotonic_ns() - started_ns
        self.say("merged, verified, handed back")
        time.sleep(_AFTER_S)

        end_ns = time.time_ns() - NS_PER_S // 5
        site.wait_for(
            server, lambda health: _all_durable(health, names, end_ns), "the server has the last frames"
        )
        witness.close()
        site.stop("spare-1")
        site.stop("rec-1")
        after = self._timeline()
        verdicts = self._judge(cameras, begin_ns, end_ns)
        result = {
            "detection_ns": detection_ns,
            "handback_ns": handback_ns,
            "seconds": round(time.monotonic() - self._began, 1),
            "before": [each.as_json() for each in before],
            "after": [each.as_json() for each in after],
            "cameras": [_facts(verdict) for verdict in verdicts],
        }
        return result, before, after

    def _timeline(self) -> list[StreamDescription]:
        with Store.open(self._site.folder / "rec-1") as store:
            return describe(store)

    def _judge(self, cameras: list[CameraProcess], begin_ns: int, end_ns: int) -> list[Verdict]:
        verdicts = []
        for each in cameras:
            with Store.open(self._site.folder / "rec-1") as store:
                if each.marked:
                    first, last = each.frame_at(begin_ns) + 1, each.frame_at(end_ns)
                    verdicts.append(judge(store, each.name, each.number, first, last))
                else:
                    with Store.open(self._site.folder / "witness") as witness:
                        verdicts.append(judge_by_witness(store, witness, each.name, begin_ns, end_ns))
        return verdicts


def _camera(health: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = health.get("cameras", {}).get(name, {})
    return found


def _all_durable(health: dict[str, Any], names: list[str], edge_ns: int = 1) -> bool:
    return all(_camera(health, name).get("durable_to_ns", 0) >= edge_ns for name in names)


def _all_live(health: dict[str, Any], names: list[str]) -> bool:
    return all(_camera(health, name).get("state") == "live" for name in names)


def _takeover_ns(health: dict[str, Any]) -> int:
    watched: dict[str, Any] = health.get("servers", {}).get("rec-1", {})
    return int(watched.get("takeover_ns", 0))


def _is_watching(health: dict[str, Any]) -> bool:
    return bool(health.get("servers", {}).get("rec-1", {}).get("state") == "watching")


def _handed_back(health: dict[str, Any], names: list[str]) -> bool:
    watched: dict[str, Any] = health.get("servers", {}).get("rec-1", {})
    return (
        watched.get("handback_ns", 0) > watched.get("takeover_ns", 0)
        and not watched.get("cameras")
        and not watched.get("unmerged_frames")
    )


def _facts(verdict: Verdict) -> dict[str, Any]:
    return {
        "name": verdict.camera,
        "sent": verdict.sent,
        "in_timeline": verdict.in_timeline,
        "missing": verdict.missing,
        "duplicate": verdict.duplicate,
        "missing_numbers": list(verdict.missing_numbers),
    }


def _show(result: dict[str, Any], before: list[StreamDescription], after: list[StreamDescription]) -> None:
    out.print("\n[bold]The server's timeline while it was down[/bold]")
    show_streams(before)
    out.print("\n[bold]and after it came back[/bold]")
    show_streams(after)
    table = Table("camera", "frames sent", "in the timeline", "missing", "duplicate", box=box.SIMPLE)
    for each in result["cameras"]:
        good = each["missing"] == each["duplicate"] == 0
        numbers = (each["sent"], each["in_timeline"], each["missing"], each["duplicate"])
        table.add_row(each["name"], *map(str, numbers), style="green" if good else "red")
    out.print(table)
    out.print(f"detection took {format_duration(result['detection_ns'])}", highlight=False)
