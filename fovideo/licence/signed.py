"""The licence file: its terms as text, and an Ed25519 signature of exactly that text.

A JSON object {"format": "fovideo-licence", "terms": TEXT, "signature": HEX}. TEXT is JSON too, and is signed
as it stands behind a fixed prefix, so no form of it has to be canonical.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from fovideo.decoding import from_json
from fovideo.errors import FovideoError, LicenceError
from fovideo.times import parse_ns

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT = "fovideo-licence"
_PREFIX = b"fovideo-licence 1 "


class Terms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is licensed.

    number, holder: of this licence, for people. site: name of the site that it is for.
    edition: a premium site licence includes the failover base licence, a professional one does not.
    failover_base: bought beside a professional site licence; one covers any number of spares on the site.
    camera_failover: camera failover licences; a site needs one for each of its cameras.
    expires: RFC 3339, "" = never.
    """

    number: str
    holder: str
    site: str
    edition: Literal["professional", "premium"]
    failover_base: bool = False
    camera_failover: int = 0
    expires: str = ""

    @property
    def has_base(self) -> bool:
        return self.edition == "premium" or self.failover_base

    @property
    def expires_ns(self) -> int | None:
        """When it expires; None = never."""
        return parse_ns(self.expires) if self.expires else None


class _File(msgspec.Struct, frozen=True):
    format: str
    terms: str
    signature: str


def make_licence(terms: Terms, key: Ed25519PrivateKey) -> bytes:
    """A licence file with these terms. UsageError for an `expires` that is no time."""
    terms.expires_ns  # noqa: B018 - raises for what is no time
    text = msgspec.json.format(msgspec.json.encode(terms), indent=1)
    signature = key.sign(_PREFIX + text).hex()
    file = _File(FORMAT, text.decode(), signature)
    return msgspec.json.format(msgspec.json.encode(file), indent=1) + b"\n"


def read_licence(data: bytes, public_key: str, *, where: str = "") -> Terms:
    """The terms of a licence file. public_key: the issuer's, 64 hex digits. Raises LicenceError."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        file = from_json(data, _File)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise LicenceError("not a licence file", where=where, hint="ask the issuer for it again") from None
    if file.format != FORMAT:
        raise LicenceError(f"not a licence file but {file.format[:40]!r}", where=where)
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    except ValueError:
        raise LicenceError("the issuer's public key is none", where=where, hint="64 hex digits") from None
    try:
        key.verify(bytes.fromhex(file.signature), _PREFIX + file.terms.encode())
    except (InvalidSignature, ValueError):
        raise LicenceError(
            "the issuer did not sign this as it is", where=where, hint="is it the right key, the right file?"
        ) from None
    try:
        terms = from_json(file.terms, Terms)
        terms.expires_ns  # noqa: B018 - raises for what is no time
    except (msgspec.MsgspecError, FovideoError) as error:
        raise LicenceError(f"its terms make no sense here: {error}", where=where) from None
    return terms
