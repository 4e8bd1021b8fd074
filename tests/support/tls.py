"""TLS for tests: in front of a plain server, with a certificate that nobody trusts; and a CA of one's own."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY = """-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQganJ1jCEcPNkQO8oD
ztj2XIT5RYna+c4+m9JP21wtQaOhRANCAARx8CB3Pmmfq0Tizubr4ZOSblF0rPLA
pnUzhlDYz8d3yZliIUyfIfuWmcNup0PVclxU1l5iQsPDvd+hXZlDVFkb
-----END PRIVATE KEY-----
"""
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBjzCCATagAwIBAgIUZVEjWHdUNgmE+6hKuSNot2KDW/EwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJMTI3LjAuMC4xMCAXDTI2MTEyMzAxMzAzNFoYDzIxMjYxMDMw
MDEzMDM0WjAUMRIwEAYDVQQDDAkxMjcuMC4wLjEwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARx8CB3Pmmfq0Tizubr4ZOSblF0rPLApnUzhlDYz8d3yZliIUyfIfuW
mcNup0PVclxU1l5iQsPDvd+hXZlDVFkbo2QwYjAdBgNVHQ4EFgQUbzjueeN5vDzu
GKEc7Ykt+9ovM9UwHwYDVR0jBBgwFoAUbzjueeN5vDzuGKEc7Ykt+9ovM9UwDwYD
VR0TAQH/BAUwAwEB/zAPBgNVHREECDAGhwR/AAABMAoGCCqGSM49BAMCA0cAMEQC
ICMGMW0u+iGYzH/OJh79IJ4Zpa9Qw+0aNPT4prhQmAk1AiAFkFKnStdQzPhOw3NS
7smZW/9u855NoLAIxY0kATV3aA==
-----END CERTIFICATE-----
"""


def tls_to(port: int) -> Callable[[socket.socket], None]:
    """Behaviour of a Server: takes TLS, and passes on to a port of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        pem = Path(folder) / "server.pem"
        pem.write_text(KEY + CERTIFICATE)
        context.load_cert_chain(pem)

    def behave(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as client,
            socket.create_connection(("127.0.0.1", port)) as server,
        ):
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            _pass_on(client, server)

    return behave


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass


class Authority:
    """A CA of a test's own, with certificates that it signs, as PEM files in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("ca", self._key, ca=True)
        self.path = self._write("ca.pem", self.certificate)

    def issue(self, name: str, *, days: int = 30) -> tuple[Path, Path]:
        """Certificate and key of NAME, valid for 127.0.0.1 too, both as server and as client. days: from
        now on; 0 = it was valid until now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        cert = self._write(f"{name}.pem", self._sign(name, key, days=days))
        path = self._folder / f"{name}.key"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        return cert, path

    def _sign(
        self, name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool = False, days: int = 30
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([address, x509.DNSName(name)]), critical=False)
        )
        return made.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path
