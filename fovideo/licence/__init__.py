"""Licences for failover: signed, checked offline (docs/design/licences.md). Without one all is allowed."""

from fovideo.licence.coverage import Coverage, coverage_of, licence_problems, licence_to_send
from fovideo.licence.judge import GRACE_NS, WARN_NS, Verdict, judge
from fovideo.licence.signed import Terms, make_licence, read_licence

__all__ = [
    "GRACE_NS",
    "WARN_NS",
    "Coverage",
    "Terms",
    "Verdict",
    "coverage_of",
    "judge",
    "licence_problems",
    "licence_to_send",
    "make_licence",
    "read_licence",
]
