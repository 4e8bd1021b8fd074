"""Custody: proof of what a merge inserted, and an account of what it could not.

A manifest lists every GOP that a merge brought into a timeline, hashed and chained, so that any later change
is found and located. Knows timelines, not how merging is done. Design: docs/design/custody.md.
"""

from fovideo.custody.change import Change, ChangeKind
from fovideo.custody.keys import key_id, load_public_key, load_signing_key
from fovideo.custody.missing import Missing, Reason, still_missing
from fovideo.custody.record import CustodyRecord, check_path
from fovideo.custody.report import CustodyReport, Signature
from fovideo.custody.verify import verify_manifest
from fovideo.custody.writer import Written

__all__ = [
    "Change",
    "ChangeKind",
    "CustodyRecord",
    "CustodyReport",
    "Missing",
    "Reason",
    "Signature",
    "Written",
    "check_path",
    "key_id",
    "load_public_key",
    "load_signing_key",
    "still_missing",
    "verify_manifest",
]
