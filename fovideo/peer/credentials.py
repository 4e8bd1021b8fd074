"""How a client shows a peer who it is, and how it knows the peer: a token, a certificate, a CA."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fovideo.errors import UsageError

TOKEN, TOKEN_FILE = "FOVIDEO_TOKEN", "FOVIDEO_TOKEN_FILE"
CA, CERT, KEY = "FOVIDEO_CA", "FOVIDEO_CERT", "FOVIDEO_KEY"


class Credentials(msgspec.Struct, frozen=True, kw_only=True, repr_omit_defaults=True):
    """What to show to a peer. ca, cert, key: paths of PEM files.

    ca: who may have signed the peer's certificate; "" = whom this machine trusts. cert, key: this client's
    own certificate and its key, which may lie in one file.
    """

    token: str = ""
    ca: str = ""
    cert: str = ""
    key: str = ""

    def __repr__(self) -> str:
        shown = {"token": "***" if self.token else "", "ca": self.ca, "cert": self.cert, "key": self.key}
        return f"Credentials({', '.join(f'{name}={value!r}' for name, value in shown.items() if value)})"

    def context(self) -> ssl.SSLContext:
        """For connections to peers. Raises UsageError for a file that cannot be used."""
        if self.key and not self.cert:
            raise UsageError("a key without its certificate", where=self.key, hint="give the certificate too")
        context = ssl.create_default_context()
        if self.ca:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            load_trusted(context, self.ca)
        if self.cert:
            load_own(context, self.cert, self.key)
        return context

    def expired(self) -> str:
        """Since when the own certificate is valid no more, RFC 3339; "" while it is, or cannot be read."""
        from cryptography import x509

        try:
            over = x509.load_pem_x509_certificate(Path(self.cert).read_bytes()).not_valid_after_utc
        except (OSError, ValueError):
            return ""
        return f"{over:%Y-%m-%dT%H:%M:%SZ}" if over < datetime.now(UTC) else ""


def load_trusted(context: ssl.SSLContext, ca: str) -> None:
    """Trust the certificates in a file. UsageError if there are none."""
    try:
        context.load_verify_locations(cafile=ca)
    except ssl.SSLError:
        raise UsageError("not certificates in PEM form", where=ca) from None
    except OSError as error:
        raise UsageError(f"cannot read the certificates: {error.strerror}", where=ca) from None


def load_own(context: ssl.SSLContext, cert: str, key: str) -> None:
    """Show this certificate. UsageError if the files are not a certificate and its key."""

    def password() -> str:
        raise UsageError("the key is encrypted", where=key or cert, hint="store it without a password")

    for path in (cert, key):
        if path and not os.access(path, os.R_OK):
            reason = "no such file" if not Path(path).exists() else "permission denied"
            raise UsageError(f"cannot read the certificate or its key: {reason}", where=path)
    try:
        context.load_cert_chain(cert, key or None, password)
    except ssl.SSLError as error:
        wrong = "the key is not that of the certificate" if "MISMATCH" in str(error) else ""
        raise UsageError(
            wrong or "not a certificate and its key in PEM form",
            where=key or cert,
            hint="see docs/ref/http.md",
        ) from None
    except OSError as error:
        raise UsageError(f"cannot read the certificate: {error.strerror}", where=cert) from None


def credentials_from(environ: Mapping[str, str]) -> Credentials:
    """What the environment gives: FOVIDEO_TOKEN or FOVIDEO_TOKEN_FILE, FOVIDEO_CA, FOVIDEO_CERT, FOVIDEO_KEY.

    UsageError if the token's file cannot be read.
    """
    return Credentials(
        token=token_from(environ),
        ca=environ.get(CA, ""),
        cert=environ.get(CERT, ""),
        key=environ.get(KEY, ""),
    )


def token_from(environ: Mapping[str, str]) -> str:
    """The token that the environment gives, "" if none. UsageError if its file cannot be read."""
    if token := environ.get(TOKEN):
        return token.strip()
    path = environ.get(TOKEN_FILE)
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"cannot read the token: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise UsageError("the token is not text", where=path) from None
