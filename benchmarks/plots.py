"""Plots of the results; matplotlib is an optional dependency (extra `bench`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.results import Row


def draw(rows: Sequence[Row], lines: Mapping[str, Sequence[tuple[int, float]]], folder: Path) -> list[str]:
    """Write PNG files; their names, none without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        return []
    matplotlib.use("Agg")
    from matplotlib import pyplot

    made = []
    folder.mkdir(parents=True, exist_ok=True)
    if lines:
        figure, axes = pyplot.subplots(figsize=(7, 4))
        for name, points in lines.items():
            axes.plot([n for n, _ in points], [100 * cpu for _, cpu in points], "o-", label=name)
        axes.set(
            xlabel="cameras (25 fps; 2 Mbit/s where not said)",
            ylabel="CPU, % of one core",
            xlim=(0, None),
            ylim=(0, None),
        )
        axes.legend()
        axes.grid(alpha=0.3)
        figure.savefig(folder / "cameras.png", dpi=110, bbox_inches="tight")
        pyplot.close(figure)
        made.append("cameras.png")
    compared = [row for row in rows if row.ours and row.target]
    if compared:
        figure, axes = pyplot.subplots(figsize=(8, 0.45 * len(compared) + 1))
        scores = [
            row.target / max(row.value, 1e-9) if row.lower else row.value / row.target for row in compared
        ]
        colours = ["tab:green" if row.met else "tab:orange" for row in compared]
        axes.barh([row.what for row in compared], scores, color=colours)
        axes.axvline(1, color="black", linewidth=1)
        axes.set(xlabel="result / target (right of the line: met)", xscale="log")
        axes.invert_yaxis()
        figure.savefig(folder / "targets.png", dpi=110, bbox_inches="tight")
        pyplot.close(figure)
        made.append("targets.png")
    return made
