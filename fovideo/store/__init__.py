"""Stores: segment files and their index as one durable timeline. Knows no cameras and no network."""

from fovideo.store.files import Files
from fovideo.store.options import StoreOptions
from fovideo.store.report import Cut, Recovery
from fovideo.store.store import Store
from fovideo.store.writer import StreamWriter

__all__ = ["Cut", "Files", "Recovery", "Store", "StoreOptions", "StreamWriter"]
