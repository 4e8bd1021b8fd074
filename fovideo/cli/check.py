"""`fovideo check`: is a store sound?"""

from __future__ import annotations

from pathlib import Path

import rich_click as click

from fovideo.cli import custody, params
from fovideo.cli.output import out, print_json, progress
from fovideo.errors import UsageError


@click.command("check")
@click.argument("store")
@click.option("--repair", is_flag=True, help="Rebuild the index from the segment files.")
@custody.read_manifest
@custody.public_key
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
    from fovideo.store import check_store

    with progress(quiet=as_json) as bar:
        task = bar.add_task("checking", total=None)
        report = check_store(
            store, repair=repair, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if as_json:
        print_json(report)
    else:
        for problem in report.problems:
            out.print(f"{problem.where}: {problem.what} ({problem.hint})", markup=False, highlight=False)
        out.print(report.summary, markup=False, highlight=False)
    return 0 if report.sound else 1
