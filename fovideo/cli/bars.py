"""Coverage drawn as a bar: a character a slice of time, how much of it is covered by its shade and colour."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

_SHADES = " ░▒▓█"


def coverage(
    spans: Iterable[tuple[int, int, str]], from_ns: int, to_ns: int, width: int, base: str = "green"
) -> Text:
    """Bar of `width` characters for [from_ns, to_ns).

    spans: (start_ns, end_ns, colour), not overlapping; the colour that covers most of a slice wins.
    """
    covered = [0.0] * width
    colours: list[dict[str, float]] = [{} for _ in range(width)]
    slice_ns = max(1.0, (to_ns - from_ns) / width)
    for start_ns, end_ns, colour in spans:
        first = max(0, int((start_ns - from_ns) / slice_ns))
        last = min(width - 1, int((end_ns - 1 - from_ns) / slice_ns))
        for i in range(first, last + 1):
            left, right = from_ns + i * slice_ns, from_ns + (i + 1) * slice_ns
            share = max(0.0, min(end_ns, right) - max(start_ns, left)) / slice_ns
            covered[i] += share
            colours[i][colour] = colours[i].get(colour, 0.0) + share
    bar = Text()
    for share, mix in zip(covered, colours, strict=True):
        # anything missing shows: a full block is for full coverage only, a blank for none at all
        shade = 4 if share > 0.999 else 0 if share < 1e-9 else max(1, min(3, int(share * 4)))
        bar.append(_SHADES[shade], style=max(mix, key=mix.__getitem__) if mix else base)
    return bar
