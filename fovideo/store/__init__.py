"""Stores: segment files and their index as one durable timeline. Knows no cameras and no network."""

from fovideo.store.checking import check_store
from fovideo.store.expire import Expired
from fovideo.store.files import Files
from fovideo.store.options import StoreOptions
from fovideo.store.report import CheckReport, Cut, Problem, Recovery
from fovideo.store.store import Store
from fovideo.store.writer import StreamWriter

__all__ = [
    "CheckReport",
    "Cut",
    "Expired",
    "Files",
    "Problem",
    "Recovery",
    "Store",
    "StoreOptions",
    "StreamWriter",
    "check_store",
]
