"""`fovideo merges`: the merges that run now, and a hand on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click
from rich import box
from rich.table import Table

from fovideo.cli import nearby, params, peers
from fovideo.cli.output import out, print_json, warn
from fovideo.errors import UsageError
from fovideo.times import NS_PER_S, format_bytes, format_duration

if TYPE_CHECKING:
    from fovideo.merge.running import MergeStatus

_WORDS = ("pause", "resume", "cancel")


class Found(NamedTuple):
    """A merge, the machine that carries it out ("" = a command on this one), and who takes orders for it."""

    machine: str
    status: MergeStatus
    order: Callable[[str], object]


@click.command("merges")
@click.argument("where", required=False)
@click.option("--pause", "word", flag_value="pause", help="Hold it back, between two insertions.")
@click.option("--resume", "word", flag_value="resume", help="Let it go on.")
@click.option("--cancel", "word", flag_value="cancel", help="End it; what is inserted stays.")
@click.option("--merge", "id", metavar="ID", help="Which one, by id, source or target, if several run.")
@peers.options
@params.as_json
def command(where: str | None, word: str | None, id: str | None, as_json: bool) -> int:
    """Show the merges that run, how far they are, and when they will be done; or pause, resume or end one.

    WHERE: SITE.toml for all machines of a site, or the URL of a server or spare; without it, the merges that
    commands of this user carry out on this machine.
    """
    merges = list(_found(where))
    if word is None:
        shown = [each for each in merges if id is None or _is(each, id)]
        _show(shown, as_json=as_json)
        return 0
    chosen = _chosen(merges, id)
    chosen.order(word)
    again = next(
        (
            each
            for each in _found(where)
            if (each.machine, each.status.id) == (chosen.machine, chosen.status.id)
        ),
        None,
    )
    _show([] if again is None else [again], as_json=as_json)
    return 0


def _chosen(merges: list[Found], id: str | None) -> Found:
    fitting = [each for each in merges if id is None or _is(each, id)]
    known = ", ".join(each.status.id for each in merges) or "none"
    if not fitting:
        raise UsageError("no such merge runs", where=id or "", hint=f"running: {known}")
    if len(fitting) > 1:
        raise UsageError("several merges run", where=id or "", hint=f"say which with --merge: {known}")
    return fitting[0]


def _is(found: Found, id: str) -> bool:
    return id in (found.status.id, found.status.source, found.status.target)


def _found(where: str | None) -> Iterable[Found]:
    if where is None:
        for status in nearby.found().values():
            yield Found("", status, lambda word, id=status.id: nearby.order(id, word))  # type: ignore[misc]
    elif params.is_url(where):
        yield from _of_url(where)
    elif Path(where).is_file():
        yield from _of_site(Path(where))
    else:
        raise UsageError("neither a URL nor a SITE.toml", where=where)


def _of_url(url: str) -> Iterable[Found]:
    from fovideo.peer import Probe

    with closing(Probe(url, credentials=peers.given(), timeout_ns=5 * NS_PER_S)) as probe:
        health = probe.ask()
    for status in health.merges:
        yield Found(health.name, status, _orders(url, peers.given(), status.id))


def _of_site(path: Path) -> Iterable[Found]:
    from fovideo.service.overview import ask_all
    from fovideo.site import load_site

    site = load_site(path)
    show = peers.for_site(site)
    answers = ask_all(site, show)
    for machine in (*site.servers, *site.spares):
        health, error = answers[machine.name]
        if error:
            warn(f"{machine.name} does not answer: {error}")
        for status in health.merges if health is not None else ():
            yield Found(machine.name, status, _orders(site.reached_at(machine), show(machine), status.id))


def _orders(url: str, credentials: Any, id: str) -> Callable[[str], object]:
    def order(word: str) -> None:
        from fovideo.peer import Control

        with closing(Control(url, credentials=credentials)) as control:
            if word == "cancel":
                control.cancel(id)
            else:
                control.pause(id, word == "pause")

    return order


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
        drawn.add_column(heading)
    for machine, each in merges:
        stream = each.stream
        if each.streams > 1 and stream:
            stream += f" ({each.streams_begun} of {each.streams})"
        share = f"{format_bytes(each.size_bytes)} of {format_bytes(each.of_bytes)}" if each.of_bytes else ""
        drawn.add_row(
            each.id, machine, each.source, each.target, str(each.state), stream, share, left_of(each)
        )
    return drawn


def left_of(status: MergeStatus) -> str:
    """How long the merge still takes, for people; "" while that is not known, or nothing moves."""
    if status.eta_ns is None or status.state == "paused" or status.ended:
        return ""
    left = format_duration(status.eta_ns)
    return f"at least {left}" if status.eta_at_least else left
