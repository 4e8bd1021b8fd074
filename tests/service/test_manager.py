"""The management server and a spare that stands in for it, in one process: roles and versions, no cameras."""

from __future__ import annotations

from pathlib import Path

import pytest
from free_ports import free_ports
from waiting import wait_until

from fovideo.errors import ConfigError, ConfigStale, FovideoError, PeerError, UsageError
from fovideo.peer import ManagementClient, ManagementStatus, find_manager
from fovideo.peer.credentials import Credentials
from fovideo.service.events import Event, RoleReturned, RoleTaken
from fovideo.service.manage import ManagementServer
from fovideo.service.spare import Spare
from fovideo.site import load_site

NOBODY = Credentials()


class Place:
    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "site.toml"
        self.ports = free_ports(3)
        self.urls = [f"http://127.0.0.1:{port}" for port in self.ports[:2]]

    def text(self, note: str = "") -> str:
        return (
            f'# {note}\n[site]\nname = "plant"\n'
            '[detection]\npoll = "100ms"\ntakeover_after = "500ms"\nhandback_after = "300ms"\n'
            f'[[management]]\nname = "mgmt"\nlisten = "127.0.0.1:{self.ports[0]}"\nfolder = "mgmt"\n'
            f'[[server]]\nname = "rec-1"\nlisten = "127.0.0.1:{self.ports[2]}"\nstore = "rec-1"\n'
            f'[[spare]]\nname = "spare-1"\nlisten = "127.0.0.1:{self.ports[1]}"\nstore = "spare-1"\n'
        )

    def write(self, note: str = "") -> Path:
        self.file.write_text(self.text(note))
        return self.file

    def status(self) -> ManagementStatus | None:
        """Of whoever manages now."""
        try:
            with find_manager(self.urls, credentials=NOBODY) as manager:
                return manager.status()
        except FovideoError:
            return None

    def managed_by(self, name: str, version: int) -> None:
        def so() -> bool:
            status = self.status()
            return status is not None and (status.name, status.version) == (name, version)

        wait_until(so, f"{name} manages version {version}", 60)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_versions_of_one_manager(place: Place) -> None:
    with ManagementServer(place.write("one"), "mgmt") as server:
        with ManagementClient(server.url, credentials=NOBODY) as client:
            assert client.status().version == 1
            assert client.publish(place.text("two"), after=1).version == 2
            assert client.publish(place.text("two")).version == 2, "the same text is the same version"
            with pytest.raises(ConfigStale):
                client.publish(place.text("three"), after=1)
            with pytest.raises(ConfigError):
                client.publish('[site]\nname = "?"\n')
            with pytest.raises(ConfigError, match="cannot change while it runs"):
                client.publish(place.text().replace('folder = "mgmt"', 'folder = "other"'))
            assert client.configuration().text == place.text("two")
            assert {machine.state for machine in client.directory().machines.values()} == {""}
        place.write("four")
        server.reload_file(place.file)
        assert server.keeper.current is not None
        assert server.keeper.current.number == 3
    with ManagementServer(place.file, "mgmt") as again:
        assert again.keeper.current is not None
        assert again.keeper.current.number == 3, "nothing was edited"
    place.write("five")
    with ManagementServer(place.file, "mgmt") as again:
        assert again.keeper.current is not None
        assert (again.keeper.current.number, again.keeper.current.text) == (4, place.text("five"))


def test_a_spare_stands_in_and_the_returned_manager_takes_over_its_version(place: Place) -> None:
    events: list[Event] = []
    place.write("one")
    with Spare(load_site(place.file), "spare-1", on_event=events.append) as spare:
        with ManagementServer(place.file, "mgmt"):
            place.managed_by("mgmt", 1)
            with ManagementClient(spare.url, credentials=NOBODY) as deputy:
                wait_until(lambda: deputy.status().version == 1, "the spare has it", 30)
                assert not deputy.status().acting
                with pytest.raises(PeerError, match="does not manage"):
                    deputy.directory()
                with pytest.raises(PeerError, match="does not manage"):
                    deputy.publish(place.text("x"))
        place.managed_by("spare-1", 1)
        assert RoleTaken("management", "mgmt", 1) in events
        with find_manager(place.urls, credentials=NOBODY) as manager:
            assert manager.directory().machines["spare-1"].state
            assert manager.publish(place.text("two")).version == 2
        with ManagementServer(place.file, "mgmt") as returned:
            assert returned.keeper.current is not None
            assert returned.keeper.current.text == place.text("two"), "not its own, older file"
            place.managed_by("mgmt", 2)
            wait_until(lambda: RoleReturned("management", "mgmt", 1) in events, "the spare rests", 30)


def test_nobody_manages(place: Place) -> None:
    with pytest.raises(PeerError):
        find_manager(place.urls, credentials=NOBODY)
    with pytest.raises(UsageError):
        find_manager([])
