"""The table as Markdown and JSON, with the machine it was made on."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import av
import msgspec

from benchmarks.results import Row, shown

_MET = {True: "yes", False: "**no**", None: "-"}


def machine() -> dict[str, str]:
    """What a reader must know to compare."""
    model = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": f"{os.cpu_count()} x {model}",
        "memory": f"{memory / 1e9:.0f} GB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "pyav": av.__version__,
        "ffmpeg": _version(["ffmpeg", "-version"]),
        "load": ", ".join(f"{each:.1f}" for each in os.getloadavg()),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _version(command: list[str]) -> str:
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "not installed"
    return text.split("\n")[0].split(" Copyright")[0].removeprefix("ffmpeg version ")


def markdown(rows: Sequence[Row], facts: Mapping[str, str], plots: Sequence[str]) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks`. Medians (least-greatest) of alternating rounds; ratios are taken",
        "within a round. CPU and memory are the kernel's accounting of the measured processes. Machine: "
        + "; ".join(f"{key} {value}" for key, value in facts.items())
        + ".",
        "",
        "| what | unit | fovideo | against | theirs | ratio | target | met |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sign = "<=" if row.lower else ">="
        ratio = "-" if not row.ours or not row.theirs else f"{row.value:.2f}"
        target = f"{sign} {row.target:g}{'x' if row.peer else ''}"
        lines.append(
            f"| {row.what} | {row.unit} | {shown(row.ours)} | {row.peer or '-'} | {shown(row.theirs)} "
            f"| {ratio} | {target} | {_MET[row.met]} |"
        )
    notes = [f"- {row.what}: {row.note}" for row in rows if row.note]
    notes += [f"- {row.what} ({row.peer}): not measured, {row.skipped}" for row in rows if row.skipped]
    if notes:
        lines += ["", "Notes:", "", *notes]
    lines += [f"\n![{Path(name).stem}](benchmarks/{name})" for name in plots]
    return "\n".join(lines) + "\n"


def earlier(docs: Path, parts: Sequence[str]) -> tuple[list[Row], dict[str, list[tuple[int, float]]]]:
    """Rows and lines of the last run, but for those of parts that are measured now."""
    try:
        known = msgspec.json.decode((docs / "benchmarks.json").read_bytes(), type=_Results)
    except (OSError, msgspec.MsgspecError):
        return [], {}
    return [row for row in known.rows if row.part not in parts], known.lines


class _Results(msgspec.Struct):
    machine: dict[str, str]
    rows: list[Row]
    lines: dict[str, list[tuple[int, float]]]


def write(
    rows: Sequence[Row], lines: Mapping[str, Sequence[tuple[int, float]]], plots: Sequence[str], docs: Path
) -> str:
    """Write benchmarks.md and benchmarks.json; reasons for what is not met come from reasons.md."""
    facts = machine()
    text = markdown(rows, facts, plots)
    why = Path(__file__).parent / "reasons.md"
    if why.exists():
        text += "\n" + why.read_text()
    docs.mkdir(parents=True, exist_ok=True)
    (docs / "benchmarks.md").write_text(text)
    found = _Results(facts, list(rows), {key: list(value) for key, value in lines.items()})
    (docs / "benchmarks.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    return text
