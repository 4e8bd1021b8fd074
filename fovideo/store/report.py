"""What opening and checking a store report."""

from __future__ import annotations

import msgspec


class Cut(msgspec.Struct, frozen=True):
    """Bytes behind the last whole fragment that were cut off a segment file.

    path: relative to the store. frames: how many they held, as far as their remains tell (0 = unknown).
    """

    path: str
    stream: str
    size_bytes: int
    frames: int
    reason: str

    def __str__(self) -> str:
        held = f"{self.frames} frames, " if self.frames else ""
        return f"{held}{self.size_bytes} bytes at the end of {self.path}: {self.reason}"


class Recovery(msgspec.Struct):
    """What had to be done when the store was opened after its writer died.

    segments: looked through. recovered_frames: whole and durable, but not yet in the index; they are now.
    cuts: torn ends. dropped_insertions: insertions that were under way; a merge does them again.
    missing: segment files that are gone.
    """

    segments: int = 0
    recovered_frames: int = 0
    cuts: list[Cut] = []
    dropped_insertions: int = 0
    missing: list[str] = []

    @property
    def clean(self) -> bool:
        """Nothing had to be done."""
        return not (
            self.segments or self.recovered_frames or self.cuts or self.dropped_insertions or self.missing
        )

    def __str__(self) -> str:
        """A clause for each thing that was found."""
        said = []
        if self.recovered_frames:
            said.append(f"{self.recovered_frames} frames that the index did not know are in it now")
        said += [f"cut off {cut}" for cut in self.cuts]
        if self.dropped_insertions:
            said.append(f"{self.dropped_insertions} unfinished insertions dropped, a merge does them again")
        if self.missing:
            said.append(f"gone: {', '.join(self.missing)}")
        return "; ".join(said) or f"{self.segments} segments were still open, nothing is lost"


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a store. kind: a stable word for programs."""

    kind: str
    what: str
    where: str
    hint: str = ""


class CheckReport(msgspec.Struct):
    """Result of reading a whole store against its index.

    sound: nothing is wrong (any more). repaired: the index was built anew, the old one kept as `kept_index`.
    """

    location: str
    segments: int = 0
    gops: int = 0
    frames: int = 0
    size_bytes: int = 0
    problems: list[Problem] = []
    repaired: bool = False
    kept_index: str = ""
    sound: bool = True

    def add(self, kind: str, what: str, where: str, hint: str = "") -> None:
        self.problems.append(Problem(kind, what, where, hint))
        self.sound = False

    @property
    def summary(self) -> str:
        """One line for people."""
        size = f"{self.segments} segments, {self.gops} GOPs, {self.frames} frames, {self.size_bytes} bytes"
        if not self.problems:
            return f"{self.location}: sound ({size})"
        state = (
            "repaired"
            if self.repaired and self.sound
            else "repaired in part"
            if self.repaired
            else "NOT sound"
        )
        return f"{self.location}: {len(self.problems)} problems, {state} ({size})"
