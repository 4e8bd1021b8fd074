"""TLS in front of a plain server, with a certificate that nobody trusts (valid until 2126)."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

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
