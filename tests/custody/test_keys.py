"""Keys in PEM files, good and bad."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from fovideo.custody import key_id, load_public_key, load_signing_key
from fovideo.custody.keys import is_signed, sign
from fovideo.errors import UsageError


def private_pem(key, encryption=NoEncryption()) -> bytes:  # noqa: B008
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def public_pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


ED = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
EC = generate_private_key(SECP256R1())


def test_keys_of_openssl(tmp_path: Path) -> None:
    """The commands that the pages name."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def run(*words: str) -> bytes:
        return subprocess.run(["openssl", *words], cwd=tmp_path, capture_output=True, check=True).stdout

    run("genpkey", "-algorithm", "ed25519", "-out", "key.pem")
    run("pkey", "-in", "key.pem", "-pubout", "-out", "key.pub.pem")
    der = run("pkey", "-pubin", "-in", "key.pub.pem", "-outform", "DER")
    (tmp_path / "der").write_bytes(der)
    private, public = load_signing_key(tmp_path / "key.pem"), load_public_key(tmp_path / "key.pub.pem")
    digest = run("dgst", "-sha256", "-r", "der").split()[0].decode()
    assert key_id(private.public_key()) == key_id(public) == f"sha256:{digest}"
    link = bytes(32)
    (tmp_path / "signature").write_bytes(base64.b64decode(sign(private, link)))
    (tmp_path / "text").write_text(f"fovideo-manifest 1 {link.hex()}")
    run(
        *("pkeyutl", "-verify", "-pubin", "-inkey", "key.pub.pem", "-rawin"),
        *("-in", "text", "-sigfile", "signature"),
    )


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_a_signature_holds_for_its_link_alone(link: bytes, other: bytes) -> None:
    signature = sign(ED, link)
    assert is_signed(ED.public_key(), link, signature)
    assert is_signed(ED.public_key(), other, signature) == (other == link)


@pytest.mark.parametrize("text", ["", "AAAA", "!", "é", "A" * 89])
def test_what_is_no_signature(text: str) -> None:
    assert not is_signed(ED.public_key(), bytes(32), text)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a private key in PEM form"),
        (b"\xff" * 500, "not a private key in PEM form"),
        (public_pem(ED), "not a private key in PEM form"),
        (private_pem(EC), "not of Ed25519"),
        (private_pem(ED, BestAvailableEncryption(b"secret")), "locked with a passphrase"),
    ],
)
def test_signing_keys_that_cannot_be_used(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_signing_key(tmp_path / "k")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "not a public key in PEM form"),
        (private_pem(ED), "not a public key in PEM form"),
        (public_pem(EC), "not of Ed25519"),
    ],
)
def test_public_keys_that_cannot_be_used(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "k").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load_public_key(tmp_path / "k")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_key_file(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="cannot read the private key"):
            load_signing_key(path)
        with pytest.raises(UsageError, match="cannot read the public key"):
            load_public_key(path)
