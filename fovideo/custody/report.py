"""What verifying a manifest reports."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from fovideo.custody.change import Change
from fovideo.times import format_bytes


class Signature(StrEnum):
    """What is known of a manifest's signature."""

    GOOD = "good"
    ABSENT = "unsigned"
    UNCHECKED = "unchecked"  # signed, but no public key was given
    BAD = "bad"  # not of the key that was given, or absent though one was given


class CustodyReport(msgspec.Struct, kw_only=True):
    """Result of comparing a manifest with a timeline.

    source, target, created, lease, key: from the manifest's header, "" and 0 where that cannot be read.
    stretches, gops, frames, size_bytes: compared so far; all of the manifest if nothing was changed.
    link: the manifest's last link, hexadecimal.
    """

    manifest: str
    location: str
    source: str = ""
    target: str = ""
    created: str = ""
    lease: int = 0
    key: str = ""
    signature: Signature = Signature.ABSENT
    link: str = ""
    stretches: int = 0
    gops: int = 0
    frames: int = 0
    size_bytes: int = 0
    changes: list[Change] = []

    @property
    def sound(self) -> bool:
        """Everything is as the manifest says, and nothing speaks against its signature."""
        return not self.changes

    @property
    def summary(self) -> str:
        """One line for people."""
        if not self.sound:
            return f"{self.manifest}: NOT as it was merged"
        counts = f"{self.stretches} stretches, {self.gops} GOPs, {self.frames} frames"
        told = {
            Signature.GOOD: f"signed by {self.key}",
            Signature.UNCHECKED: f"signed by {self.key}, which was not checked: give --public-key",
            Signature.ABSENT: "not signed: whoever can write to the manifest could have made another",
            Signature.BAD: "",
        }[self.signature]
        return f"{self.manifest}: all is as it was merged ({counts}, {format_bytes(self.size_bytes)}); {told}"

    def as_json(self) -> dict[str, Any]:
        """The object of `check --manifest --json`."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"sound": self.sound, "changes": [change.as_json() for change in self.changes]}
