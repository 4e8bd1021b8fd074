"""Leases in a real etcd cluster: claims, numbers, members that die, TLS and passwords."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from etcd_cluster import EtcdCluster, etcd_cluster

from fovideo.errors import ConfigError
from fovideo.lease import Claim, LeasesAway, LocalLeases
from fovideo.lease.etcd import Access, EtcdLeases
from fovideo.service.office import Office, Sight
from fovideo.times import NS_PER_S

ROLE = "server/rec-1"


def client(cluster: EtcdCluster, holder: str, slot: int, *, ttl_s: int = 3, **access: str) -> EtcdLeases:
    return EtcdLeases(
        Access(endpoints=cluster.endpoints, **access),
        holder,
        prefix="/fovideo/plant",
        ttl_ns=ttl_s * NS_PER_S,
        slot=slot,
        step=64,
    )


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def answers(leases: EtcdLeases) -> bool:
    try:
        leases.look()
    except LeasesAway:
        return False
    return True


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    with etcd_cluster(tmp_path_factory.mktemp("etcd")) as cluster:
        yield cluster


@pytest.fixture
def pair(cluster: EtcdCluster) -> Iterator[tuple[EtcdLeases, EtcdLeases]]:
    with (
        contextlib.closing(client(cluster, "spare-1", 0)) as one,
        contextlib.closing(client(cluster, "spare-2", 1)) as two,
    ):
        yield one, two


def test_a_claim_is_seen_by_others_and_numbers_rise(pair: tuple[EtcdLeases, EtcdLeases]) -> None:
    one, two = pair
    role = "server/seen"
    assert not [claim for claim in one.look() if claim.role == role]
    claim = one.take(role, ("gate", "yard"))
    assert claim == Claim(role, "spare-1", 64, ("gate", "yard"))
    assert claim in two.look()
    later = two.take(role, ("hall",))
    assert later is not None
    assert later.number == 65
    one.look()
    assert one.take(role, ("gate",), number=64) == Claim(role, "spare-1", 64, ("gate",))
    one.drop(role)
    one.drop(role)
    assert [c for c in two.look() if c.role == role] == [later]
    two.drop(role)
    two.look()
    again = two.take(role, above=1000)
    assert again is not None
    assert again.number == 1025
    two.drop(role)


def test_of_two_claims_at_once_one_is_refused(pair: tuple[EtcdLeases, EtcdLeases]) -> None:
    one, two = pair
    one.look()
    two.look()
    assert one.take("server/race") is not None
    assert two.take("server/race") is None, "look again first"
    two.look()
    assert two.take("server/race") is not None


def test_claims_end_when_nobody_keeps_them(pair: tuple[EtcdLeases, EtcdLeases]) -> None:
    one, two = pair
    one.look()
    assert one.take("server/kept") is not None
    assert one.keep()
    until(lambda: not [c for c in two.look() if c.role == "server/kept"], "the claim ends")
    assert not one.keep()
    one.look()
    again = one.take("server/kept")
    assert again is not None
    assert again.number == 128


def test_closing_gives_everything_up_at_once(cluster: EtcdCluster) -> None:
    with contextlib.closing(client(cluster, "spare-2", 1)) as two:
        one = client(cluster, "spare-1", 0, ttl_s=600)
        one.look()
        one.take("server/closed")
        one.close()
        assert not [c for c in two.look() if c.role == "server/closed"]


def test_members_die_and_return(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path) as cluster, contextlib.closing(client(cluster, "s", 0, ttl_s=9)) as one:
        one.look()
        first = one.take(ROLE)
        assert first is not None
        cluster.kill(0)
        until(lambda: answers(one), "another member answers")
        assert one.keep()
        assert first in one.look()
        cluster.kill(1)
        with pytest.raises(LeasesAway, match="no member"):
            until(lambda: not one.look(), "one of three decides nothing")
        cluster.kill(2)
        with pytest.raises(LeasesAway) as caught:
            one.look()
        assert "127.0.0.1" in caught.value.hint
        for number in range(3):
            cluster.start(number)
        until(lambda: answers(one), "the cluster is back")
        numbers = [claim.number for claim in one.look()]
        assert numbers in ([], [64])
        again = one.take(ROLE, above=first.number)
        assert again is not None
        assert again.number == 128, "numbers outlive the cluster's absence"


def test_tls_and_passwords(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path, 1, tls=True) as cluster:
        ca = {"ca_file": str(cluster.ca)}
        for path, body in (
            ("/auth/user/add", {"name": "root", "password": "hush"}),
            ("/auth/role/add", {"name": "root"}),
            ("/auth/user/grant", {"user": "root", "role": "root"}),
            ("/auth/enable", {}),
        ):
            assert cluster.ask(path, body).ok
        with contextlib.closing(client(cluster, "s", 0, user="root", password="hush", **ca)) as one:
            one.look()
            assert one.take(ROLE) is not None
            one._members[0]._session.headers["Authorization"] = "no.such.token"
            assert [claim.number for claim in one.look()] == [64], "logs in again"
        refused(cluster, "authentication failed", **ca, user="root", password="loud")
        refused(cluster, "user name is empty", **ca)
        refused(cluster, "set ca_file", user="root", password="hush")


def test_certificates_of_clients(tmp_path: Path) -> None:
    with etcd_cluster(tmp_path, 1, tls=True, certificates=True) as cluster:
        files = {"ca_file": str(cluster.ca), "cert_file": str(cluster.pem)}
        with contextlib.closing(client(cluster, "s", 0, **files)) as one:
            one.look()
            assert one.take(ROLE) is not None
        refused(cluster, "", ca_file=str(cluster.ca))


def refused(cluster: EtcdCluster, why: str, **access: str) -> None:
    with contextlib.closing(client(cluster, "s", 0, **access)) as leases:
        with pytest.raises(LeasesAway) as caught:
            leases.look()
        assert why in caught.value.hint
        assert "hush" not in str(caught.value)
        assert "loud" not in str(caught.value)


def test_a_password_never_shows() -> None:
    assert "hush" not in repr(Access(endpoints=("http://x",), password="hush"))


def test_without_the_client_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "etcd3gw.client", None)
    with pytest.raises(ConfigError, match=r"fovideo\[etcd\]"):
        EtcdLeases(Access(endpoints=("http://127.0.0.1:1",)), "s", prefix="/x", ttl_ns=NS_PER_S)


def test_endpoints_that_are_none() -> None:
    with pytest.raises(ConfigError, match="not an endpoint"):
        EtcdLeases(Access(endpoints=("ftp://x",)), "s", prefix="/x", ttl_ns=NS_PER_S)


def test_the_role_of_the_management_server_has_one_holder(pair: tuple[EtcdLeases, EtcdLeases]) -> None:
    first, second = (
        Office(leases, LocalLeases(name), name, ttl_ns=3 * NS_PER_S)
        for leases, name in zip(pair, ("spare-1", "spare-2"), strict=True)
    )
    assert first.look() == second.look() == Sight(service=True)
    assert first.take(above=0) == (64, True)
    assert second.take(above=0) == (0, True), "it was looked at before the other one claimed"
    assert second.look() == Sight(service=True, taken=True)
    assert first.look().held == 64 or first.held == 0, "kept while it is looked at, unless this took too long"
    first.drop()
    assert second.look() == Sight(service=True)
    assert second.take(above=70) == (129, True)
    assert first.look().taken
    second.drop()
