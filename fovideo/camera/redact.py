"""URLs without their secrets. Everything that is shown, logged, stored or raised passes through here."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET_KEY = re.compile(
    r"(?i)([?&;]?\b(?:pass(?:word|wd)?|pwd|token|auth|key|secret|user(?:name)?|usr|sig(?:nature)?)=)[^&;\s'\"]*"
)


def redact(url: str) -> str:
    """The URL without user, password and the values of query keys that usually hold a secret.

    The rest stays as it is, so that two redacted URLs of one camera are equal. A text that is no URL (a file
    path) is returned unchanged.
    """
    if "://" not in url:
        return url
    try:
        parts = urlsplit(url)
    except ValueError:
        return redact_text(url)
    host = parts.netloc.rpartition("@")[2]
    query = _SECRET_KEY.sub(r"\1***", "?" + parts.query)[1:] if parts.query else ""
    return urlunsplit((parts.scheme, host, _SECRET_KEY.sub(r"\1***", parts.path), query, ""))


def redact_text(text: str) -> str:
    """Free text (a library's error message) with the secrets of every URL in it taken out."""
    return _SECRET_KEY.sub(r"\1***", _USERINFO.sub("", text))
