"""Readers in worker processes: a crash in a decoder library takes down one shard of the cameras only.

The rings are in shared memory and are the recorder's: what is in them outlives the worker, and is written.
"""

from fovideo.camera.shard.reader import ShardReader
from fovideo.camera.shard.worker import Shard, can_shard

__all__ = ["Shard", "ShardReader", "can_shard"]
