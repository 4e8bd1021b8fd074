"""Peers: the timeline and the health of other fovideo processes, over HTTP (docs/ref/http.md)."""

from fovideo.peer.connection import Connection, Unanswered
from fovideo.peer.control import Control
from fovideo.peer.credentials import Credentials, credentials_from
from fovideo.peer.health import CameraHealth, Health, StoreHealth, WatchedServer
from fovideo.peer.locate import open_timeline
from fovideo.peer.management import (
    Directory,
    MachineState,
    ManagementClient,
    ManagementStatus,
    StreamPlace,
    find_manager,
)
from fovideo.peer.probe import Probe
from fovideo.peer.pull import Pull
from fovideo.peer.remote import RemoteStore

__all__ = [
    "CameraHealth",
    "Connection",
    "Control",
    "Credentials",
    "Directory",
    "Health",
    "MachineState",
    "ManagementClient",
    "ManagementStatus",
    "Probe",
    "Pull",
    "RemoteStore",
    "StoreHealth",
    "StreamPlace",
    "Unanswered",
    "WatchedServer",
    "credentials_from",
    "find_manager",
    "open_timeline",
]
