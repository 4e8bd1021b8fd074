"""`fovideo merges`: the merges that run now, and a hand on them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import rich_click as click
from rich import box
from rich.table import Table

from fovideo.cli import custody, nearby, params, peers
from fovideo.cli.merge_report import left_of, show_ended
from fovideo.cli.output import out, print_json, progress, warn
from fovideo.errors import NothingThere, PeerUnauthorized, UsageError
from fovideo.times import NS_PER_S, format_bytes, format_ns

if TYPE_CHECKING:
    from fovideo.merge.doing.running import MergeStatus
    from fovideo.peer import Control, Credentials, Health


class At(NamedTuple):
    """Where a process is reached, and what is shown there."""

    url: str
    credentials: Credentials

    def order(self, id: str, word: str) -> None:
        with self.control() as control:
            if word == "cancel":
                control.cancel(id)
            else:
                control.pause(id, word == "pause")

    def control(self) -> closing[Control]:
        from fovideo.peer import Control

        return closing(Control(self.url, credentials=self.credentials))


class Found(NamedTuple):
    """A merge, the machine that carries it out ("" = a command on this one), and where that is."""

    machine: str
    status: MergeStatus
    at: At | None = None

    def order(self, word: str) -> None:
        if self.at is None:
            nearby.order(self.status.id, word)
        else:
            self.at.order(self.status.id, word)

    @property
    def full_id(self) -> str:
        """A spare's merges have the names of the servers, so another spare may have one of that name, too."""
        return f"{self.machine}/{self.status.id}" if self.machine else self.status.id

    def is_meant(self, id: str | None) -> bool:
        status = self.status
        return id in (None, status.id, self.full_id, status.source, status.target)


@click.command("merges")
@click.argument("where", required=False)
@click.option("--pause", "word", flag_value="pause", help="Hold it back, between two insertions.")
@click.option("--resume", "word", flag_value="resume", help="Let it go on.")
@click.option("--cancel", "word", flag_value="cancel", help="End it; what is inserted stays.")
@click.option("--merge", "id", metavar="ID", help="Which one, by id, source or target, if there are several.")
@click.option("--all", "every", is_flag=True, help="Pause, resume or end all of them.")
@custody.write_manifest
@custody.sign_key
@peers.options
@params.as_json
def command(
    where: str | None,
    word: str | None,
    id: str | None,
    every: bool,
    manifest: Path | None,
    sign_key: Path | None,
    as_json: bool,
) -> int:
    """Show the merges that run, and when they will be done; or pause, resume or end one.

    The last pulls that have ended are shown, too; with --merge ID of such a one, its report.
    WHERE: SITE.toml for all machines of a site, or the URL of a server or spare; without it, the merges that
    commands of this user carry out on this machine. What a spare will give back can be paused ahead.
    """
    wanted = custody.Manifest(manifest, sign_key, dry_run=word is not None)
    if wanted.is_wanted and id is None:
        raise UsageError("say of which pull", hint="give --merge ID")
    merges = [each for each in _found(where, ended=word is None) if each.is_meant(id)]
    if word is not None:
        return _order(where, merges, word, id, every=every, as_json=as_json)
    merges = [each for each in merges if each.status.state != "idle"]
    if id is not None and len(merges) == 1 and merges[0].at is not None and merges[0].status.ended:
        return _show_ended(merges[0].at, id, wanted, as_json=as_json)
    if wanted.is_wanted:
        raise UsageError("no pull of that id has ended", where=id or "", hint="see fovideo merges")
    _show(merges, as_json=as_json)
    return 0


def _order(
    where: str | None, merges: list[Found], word: str, id: str | None, *, every: bool, as_json: bool
) -> int:
    chosen = _chosen(merges, word, id, every=every)
    for each in chosen:
        each.order(word)
    names = {each.full_id for each in chosen}
    again = [each for each in _found(where) if each.full_id in names and each.status.state != "idle"]
    _show(again, as_json=as_json)
    return 0


def _chosen(merges: list[Found], word: str, id: str | None, *, every: bool) -> list[Found]:
    """What runs, or else what a spare may give back one day."""
    fitting = [each for each in merges if each.status.state != "idle"]
    if word == "pause" and not fitting:
        fitting = merges
    if not fitting:
        raise UsageError("no such merge runs", where=id or "", hint="see fovideo merges")
    if len(fitting) > 1 and not every:
        known = ", ".join(each.full_id for each in fitting)
        raise UsageError("which merge?", where=id or "", hint=f"--all, or --merge with one of {known}")
    return fitting


def _found(where: str | None, *, ended: bool = False) -> Iterable[Found]:
    """Also what spares may give back ("idle"). ended: also the last pulls that have ended."""
    if where is None:
        for status in nearby.found().values():
            yield Found("", status)
    elif params.is_url(where):
        from fovideo.peer import Probe

        with closing(Probe(where, credentials=peers.given(), timeout_ns=5 * NS_PER_S)) as probe:
            health = probe.ask()
        yield from _of_machine(health, At(where, peers.given()), ended=ended)
    elif Path(where).is_file():
        yield from _of_site(Path(where), ended=ended)
    else:
        raise UsageError("neither a URL nor a SITE.toml", where=where)


def _of_site(path: Path, *, ended: bool) -> Iterable[Found]:
    from fovideo.service.overview import ask_all
    from fovideo.site import load_site

    site = load_site(path)
    show = peers.for_site(site)
    answers = ask_all(site, show)
    for machine in (*site.servers, *site.spares):
        health, error, _ = answers[machine.name]
        if error:
            warn(f"{machine.name} does not answer: {error}")
        if health is not None:
            at = At(site.reached_at(machine), show(machine))
            yield from _of_machine(health, at, ended=ended)


def _of_machine(health: Health, at: At, *, ended: bool) -> Iterable[Found]:
    from fovideo.merge.doing.running import MergeState, MergeStatus

    if ended and health.role == "server":
        # Who may ask for health alone is told no more.
        with at.control() as control, suppress(PeerUnauthorized, NothingThere):
            for status in control.merges():
                if status.ended:
                    yield Found(health.name, status, at)
    for status in health.merges:
        yield Found(health.name, status, at)
    for server in sorted(health.servers.keys() - {status.id for status in health.merges}):
        idle = MergeStatus(id=server, source=health.name, target=server, state=MergeState.IDLE)
        yield Found(health.name, idle, at)


def _show_ended(at: At, id: str, wanted: custody.Manifest, *, as_json: bool) -> int:
    """The report of a pull that has ended, and a manifest of what it brought."""
    from fovideo.peer import RemoteStore

    with at.control() as control:
        result = control.merge(id)
    written = None
    if wanted.is_wanted:
        with (
            closing(RemoteStore(at.url, credentials=at.credentials)) as goal,
            progress(quiet=as_json) as bar,
        ):
            record = wanted.begin_pull(result.status, goal)
            if record is not None:
                written = custody.finish(record, bar, until_ns=result.status.ended_ns)
    return show_ended(result, written, as_json=as_json)


def _show(merges: list[Found], *, as_json: bool) -> None:
    if as_json:
        import msgspec

        print_json([{"machine": each.machine} | msgspec.to_builtins(each.status) for each in merges])
        return
    if not merges:
        out.print("no merge runs", highlight=False)
        return
    out.print(table([(each.machine, each.status) for each in merges]))


def table(merges: Iterable[tuple[str, MergeStatus]]) -> Table:
    """Merges for people, with the machine that carries each one out."""
    drawn = Table(box=box.SIMPLE)
    for heading in ("merge", "by", "from", "into", "state", "stream", "inserted", "left"):
        drawn.add_column(heading, overflow="fold")
    for machine, each in merges:
        stream, share, left = each.stream, "", left_of(each)
        if each.streams > 1 and stream:
            stream += f" ({each.streams_begun} of {each.streams})"
        if each.ended:
            stream, share = "", format_bytes(each.size_bytes)
            left = f"since {format_ns(each.ended_ns // NS_PER_S * NS_PER_S)}"
        elif each.of_bytes:
            share = f"{format_bytes(each.size_bytes)} of {format_bytes(each.of_bytes)}"
        drawn.add_row(each.id, machine, each.source, each.target, str(each.state), stream, share, left)
    return drawn
