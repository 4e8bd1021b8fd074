"""Merging: the union of two timelines, frame-exact, spliced so that it decodes, and verified.

Knows nothing of what kind of timeline it serves: see fovideo.timeline.endpoint. Design: docs/design/merge.md.
"""

from fovideo.merge.doing.control import MergeControl
from fovideo.merge.doing.execute import make_plan, merge
from fovideo.merge.doing.inserting import Progress
from fovideo.merge.doing.order import Order
from fovideo.merge.doing.pace import Pace
from fovideo.merge.doing.planned import carry_out, carry_out_all
from fovideo.merge.doing.report import MergeIncomplete, MergeReport, StreamReport
from fovideo.merge.doing.saved import SavedPlan, load_plans, save_plans
from fovideo.merge.manifest import Manifest, load_manifest
from fovideo.merge.placing.match import Matching, match
from fovideo.merge.placing.offset import Prior
from fovideo.merge.planning.plan import WINDOW_NS, plan
from fovideo.merge.union import Union
from fovideo.merge.values import Kind, Piece, Plan, PlannedStretch, Span

__all__ = [
    "WINDOW_NS",
    "Kind",
    "Manifest",
    "Matching",
    "MergeControl",
    "MergeIncomplete",
    "MergeReport",
    "Order",
    "Pace",
    "Piece",
    "Plan",
    "PlannedStretch",
    "Prior",
    "Progress",
    "SavedPlan",
    "Span",
    "StreamReport",
    "Union",
    "carry_out",
    "carry_out_all",
    "load_manifest",
    "load_plans",
    "make_plan",
    "match",
    "merge",
    "plan",
    "save_plans",
]
