"""The machine: calls that Linux does better, each with a portable path."""

from fovideo.platform.bursts import allow_bursts, bursts_allowed
from fovideo.platform.descriptors import allow_descriptors, hold_standard_descriptors
from fovideo.platform.disk import DiskSpace, disk_space
from fovideo.platform.files import (
    copy_file_range,
    discard_cached,
    fdatasync,
    fdatasync_all,
    fsync_dir,
    read_at,
    read_in_order,
    read_range,
    share_blocks,
    start_writing,
    sync_each,
    write_around_cache,
    write_at,
)
from fovideo.platform.memory import give_memory_back, keep_memory_small, usable_memory_bytes
from fovideo.platform.notify import ServiceManager
from fovideo.platform.priority import run_before_others

__all__ = [
    "DiskSpace",
    "ServiceManager",
    "allow_bursts",
    "allow_descriptors",
    "bursts_allowed",
    "copy_file_range",
    "discard_cached",
    "disk_space",
    "fdatasync",
    "fdatasync_all",
    "fsync_dir",
    "give_memory_back",
    "hold_standard_descriptors",
    "keep_memory_small",
    "read_at",
    "read_in_order",
    "read_range",
    "run_before_others",
    "share_blocks",
    "start_writing",
    "sync_each",
    "usable_memory_bytes",
    "write_around_cache",
    "write_at",
]
