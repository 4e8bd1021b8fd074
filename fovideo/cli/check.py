"""`fovideo check`: is a store sound?"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import rich_click as click

from fovideo.cli import custody, params, peers
from fovideo.cli.output import errors, out, print_json, progress
from fovideo.cli.params import is_url
from fovideo.cli.peers import open_timeline
from fovideo.errors import UsageError
from fovideo.store import CheckReport, check_store


@click.command("check")
@click.argument("store")
@click.option("--repair", is_flag=True, help="Rebuild the index from the segment files.")
@custody.read_manifest
@custody.public_key
@peers.options
@params.as_json
def command(store: str, repair: bool, manifest: Path | None, public_key: Path | None, as_json: bool) -> int:
    """Read every byte of STORE: checksums, digests, index against files.

    Exit code 1 when something is wrong (and, with --repair, could not be mended). With --manifest: whether
    what a merge inserted is still the same, and if not, the first change.
    """
    if manifest is not None:
        if repair:
            raise UsageError("what a manifest lists cannot be repaired", hint="leave --repair out")
        return custody.check_manifest(store, manifest, public_key, as_json=as_json)
    if public_key is not None:
        raise UsageError("--public-key is for a manifest", hint="give --manifest too")
    report = _check_server(store, repair) if is_url(store) else _check_folder(store, repair, quiet=as_json)
    if as_json:
        print_json(report)
    else:
        for problem in report.problems:
            out.print(f"{problem.where}: {problem.what} ({problem.hint})", markup=False, highlight=False)
        out.print(report.summary, markup=False, highlight=False)
    return 0 if report.sound else 1


def _check_folder(path: str, repair: bool, *, quiet: bool) -> CheckReport:
    with progress(quiet=quiet) as bar:
        task = bar.add_task("checking", total=None)
        return check_store(
            path, repair=repair, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )


def _check_server(url: str, repair: bool) -> CheckReport:
    """The server reads its store itself; it goes on recording meanwhile."""
    if repair:
        raise UsageError(
            "a store in use cannot be repaired", where=url, hint="stop its server and give the path"
        )
    from fovideo.peer import RemoteStore

    with closing(open_timeline(url)) as timeline:
        assert isinstance(timeline, RemoteStore)
        if errors.is_terminal:
            errors.print(f"{url} is checking its store", style="dim", highlight=False)
        return timeline.check()
