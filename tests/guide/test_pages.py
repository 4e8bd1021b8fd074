"""What the pages name is there: files, modules and what is in them, options, metrics, classes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from fovideo.cli.main import fovideo

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OF_OTHERS = {"--now", "--strict"}  # of systemctl and mypy
INSTALLED = ("bin/", "site.toml", "environment", "rec-", "spare-")  # in /opt/fovideo, /etc/fovideo, ...
NO_MODULES = {"fovideo.events", "fovideo.X._y"}  # a logger; any compiled module
SUFFIXES = {"py", "pyx", "h", "md", "toml", "json", "pem", "manifest", "mp4", "mdb", "log", "png", "sh"}


@cache
def source(folders: str = "fovideo ext") -> str:
    """All source text of these folders."""
    files = (path for folder in folders.split() for path in sorted((ROOT / folder).rglob("*")))
    known = (path for path in files if path.suffix in {".py", ".pyx", ".pyi", ".h"})
    return "\n".join(path.read_text(encoding="utf-8") for path in known)


@cache
def words(folders: str = "fovideo ext") -> frozenset[str]:
    return frozenset(re.findall(r"\w+", source(folders)))


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    for each in command.params:
        yield from (*each.opts, *each.secondary_opts)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from options(found, context)


def module_of(dotted: str) -> tuple[Path, list[str]]:
    """The file that a dotted name begins with, and the rest of the name."""
    parts = dotted.split(".")
    for count in range(len(parts), 0, -1):
        path, compiled = ROOT.joinpath(*parts[:count]), ROOT.joinpath("ext", *parts[:count])
        for found in (path / "__init__.py", path.with_suffix(".py"), compiled.with_suffix(".pyx")):
            if found.exists():
                return found, parts[count:]
    raise AssertionError(dotted)


@pytest.fixture(params=PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> str:
    return Path(request.param).read_text(encoding="utf-8")


def test_files_are_there(page: str) -> None:
    for folder, rest in re.findall(r"\b(fovideo|ext|tests|benchmarks|docs)/([\w./-]*\w)", page):
        if "X/" not in rest and not rest.startswith(INSTALLED):  # X: any package
            paths = (ROOT / folder / rest, ROOT / "docs" / folder / rest)
            assert any(path.exists() for path in paths), f"{folder}/{rest}"


def test_modules_and_what_is_in_them_are_there(page: str) -> None:
    for dotted in set(re.findall(r"\bfovideo(?:\.[A-Za-z_]\w*)+", page)) - NO_MODULES:
        path, rest = module_of(dotted)
        if rest:
            assert re.search(rf"\b{rest[0]}\b", path.read_text(encoding="utf-8")), dotted
    for module, name in set(re.findall(r"`([a-z_]+)\.([A-Za-z_]\w+)`", page)):
        if module != "fovideo" and name not in SUFFIXES:
            homes = [*(ROOT / "fovideo").rglob(f"{module}.py"), *(ROOT / "ext").rglob(f"{module}.pyx")]
            paths = [*homes, *(ROOT / "fovideo").rglob(f"{module}/*.py")]
            assert not paths or any(name in path.read_text(encoding="utf-8") for path in paths), (
                module,
                name,
            )


def test_names_in_the_code_are_there(page: str) -> None:
    known = words("fovideo ext benchmarks tests") | set(re.findall(r"\w+", (ROOT / "Makefile").read_text()))
    for name in set(re.findall(r"`([A-Z][a-z]\w+|[a-z]+_[a-z_]+)(?:\(.*?\))?`", page)):
        bare = name.removesuffix("_total")
        assert bare in known or name in known, name


def test_options_are_there(page: str) -> None:
    known = {
        *options(fovideo, click.Context(fovideo)),
        *re.findall(r'"(--[a-z-]+)"', source("benchmarks tests")),
    }
    for option in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) - OF_OTHERS:
        assert option in known, option


def test_metrics_are_there(page: str) -> None:
    known = set(re.findall(r'"(fovideo_\w+)"', source())) | {"fovideo_info"}
    for name in set(re.findall(r"\bfovideo_[a-z_]+", page)):
        assert name.removesuffix("_total") in known or name in known, name


def test_every_metric_is_told() -> None:
    told = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    metrics = (ROOT / "fovideo/service/metrics.py").read_text(encoding="utf-8")
    for name in set(re.findall(r'"(fovideo_\w+)"', metrics)):
        ends = (name[at:] for at, letter in enumerate(name) if letter == "_")  # `_live` beside another one
        short = any(f"`{end}{more}`" in told for end in ends for more in ("", "_total"))
        assert name in told or short, name
