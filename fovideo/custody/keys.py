"""Keys: Ed25519 in PEM files, as openssl makes them. What they sign is the last link of a manifest's chain.

cryptography is imported when a key is used, not before: most merges sign nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fovideo.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_LARGEST_BYTES = 1 << 16
_MAKE = "make one with: openssl genpkey -algorithm ed25519 -out key.pem"
_EXTRACT = "make it with: openssl pkey -in key.pem -pubout -out key.pub.pem"


def load_signing_key(path: str | os.PathLike[str]) -> Ed25519PrivateKey:
    """The private key in a PEM file. UsageError where there is none that can be used."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = _load(path, lambda pem: load_pem_private_key(pem, None), "private", _MAKE)
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError("a private key, but not of Ed25519", where=str(path), hint=_MAKE)
    return key


def load_public_key(path: str | os.PathLike[str]) -> Ed25519PublicKey:
    """The public key in a PEM file. UsageError where there is none that can be used."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    key = _load(path, load_pem_public_key, "public", _EXTRACT)
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError("a public key, but not of Ed25519", where=str(path), hint=_EXTRACT)
    return key


def _load(path: str | os.PathLike[str], load: Callable[[bytes], Any], kind: str, hint: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm

    where = str(path)
    try:
        with Path(path).open("rb") as file:
            pem = file.read(_LARGEST_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read the {kind} key: {error.strerror}", where=where) from None
    try:
        return load(pem)
    except TypeError:
        raise UsageError(
            "the key is locked with a passphrase",
            where=where,
            hint="unlock a copy with: openssl pkey -in key.pem -out unlocked.pem",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"not a {kind} key in PEM form", where=where, hint=hint) from None


def key_id(key: Ed25519PublicKey) -> str:
    """Id of a key: SHA-256 of its DER form.

    `openssl pkey -pubin -in key.pub.pem -outform DER | sha256sum` prints it.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "sha256:" + hashlib.sha256(der).hexdigest()


def _message(link: bytes) -> bytes:
    return b"fovideo-manifest 1 " + link.hex().encode("ascii")


def sign(key: Ed25519PrivateKey, link: bytes) -> str:
    """Signature of a manifest whose last link this is, base64."""
    return base64.b64encode(key.sign(_message(link))).decode("ascii")


def is_signed(key: Ed25519PublicKey, link: bytes, signature: str) -> bool:
    """Whether that is the key's signature."""
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(signature, validate=True), _message(link))
    except (InvalidSignature, ValueError):
        return False
    return True
