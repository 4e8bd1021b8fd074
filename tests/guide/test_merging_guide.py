"""The guide to merging keeps step with the program: what a report says is answered; its example is real."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fovideo.cli.merge import command as merge_command
from fovideo.cli.merge_report import show_merge
from fovideo.cli.merges import command as merges_command
from fovideo.custody import Missing, Reason
from fovideo.merge import MergeReport, Span, StreamReport
from fovideo.times import NS_PER_S

PAGE = (Path(__file__).parents[2] / "docs/guide/merging.md").read_text(encoding="utf-8")
SPAN = Span(1_790_000_000_000_000_000, 1_790_000_007_000_000_000)
TIME = r"\d{4}-\d\d-\d\dT[\d:.]+Z"
AMOUNT = r"-?\d[\d.]*( (min|h|d|s|ms|years|B|kB|MB|GB)\b)?( \d\d s| \d\d min| \d\d h)?"


def form(line: str) -> str:
    """A line without its times and numbers, and without what is behind a colon."""
    return re.sub(AMOUNT, "N", re.sub(TIME, "T", line)).partition(":")[0].strip().removesuffix(", N")


def everything(*, dry_run: bool) -> MergeReport:
    """A report with every line that there is."""
    stream = StreamReport(
        name="gate",
        inserted_frames=3000,
        duplicate_frames=100,
        conflicting_frames=7,
        clock_offset_ns=-2 * NS_PER_S,
        held_frames=9,
        deferred_frames=3,
        inserted_bytes=862_300,
        inserted=(SPAN,),
        conflicts=(SPAN,),
        held=(SPAN,),
        earlier_conflicts=(SPAN,),
        possible_duplicate_frames=50,
        possible_duplicates=(SPAN,),
        left_frames=5,
        left=(SPAN,),
        still_missing=tuple(Missing(SPAN.from_ns, SPAN.to_ns, reason) for reason in Reason),
    )
    return MergeReport(source="a", target="b", dry_run=dry_run, streams=(stream,), not_begun=("yard",))


@pytest.fixture
def forms(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Of all lines that a report can have."""
    show_merge(everything(dry_run=False))
    return {form(line) for line in capsys.readouterr().out.splitlines()[1:]}


def table(heading: str) -> list[str]:
    """First cells of the table behind a heading."""
    behind = PAGE[PAGE.index(heading) :]
    rows = re.search(r"(?:^\|.*\n)+", behind, re.M)
    assert rows is not None
    return list(re.findall(r"^\| `([^`]+)`", rows[0], re.M))


def test_each_line_of_a_report_is_answered(forms: set[str]) -> None:
    answered = {form(re.sub(r"\b[NABT]\b", "1", cell)) for cell in table("## Answering each line")}
    named = ("inserted", "conflict", "possible duplicates", "left")
    spanned = "|".join((*named, "not shown", "still missing"))
    shown = {re.sub(f"({spanned}) T to T", r"\1 N to N", each) for each in forms}
    spans = {f"{what} N to N" for what in named}  # of the line before them
    for each in shown - spans:
        assert any(each.startswith(known) for known in answered), each


def test_each_reason_is_answered() -> None:
    assert set(table("**Still missing**, by reason")) == {str(reason) for reason in Reason}


def test_its_example_is_what_is_printed(forms: set[str]) -> None:
    (block,) = re.findall(r"```\n\$ fovideo merge spare-1 rec-1 --manifest[^\n]*\n(.*?)```", PAGE, re.S)
    lines = [line for line in block.splitlines() if line.startswith("  ")]
    assert len(lines) > 10
    assert {form(line) for line in lines} <= forms
    assert re.search(r"^manifest \S+: \d+ stretches, .*; link [0-9a-f]{64}$", block, re.M)


def test_its_options_are_there() -> None:
    known = {
        name for each in (merge_command, merges_command) for option in each.params for name in option.opts
    }
    other = {"--public-key", "--manifest"}  # of check
    commands = re.findall(r"fovideo merges? [^`\n]*|^ +--from.*", PAGE, re.M)
    used = set(re.findall(r"(?<=\s)--[a-z-]+", " ".join(commands)))
    assert len(used) > 10
    assert used <= known | other
