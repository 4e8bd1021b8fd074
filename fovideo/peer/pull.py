"""Pull: an order to a server to merge what another machine holds into its own store."""

from __future__ import annotations

import msgspec

from fovideo.merge import Order, Pace, Span
from fovideo.times import NS_PER_S


class Pull(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/control/merge. source: name of a machine of the site, or a URL.

    The rest as the arguments of fovideo.merge.merge. id: made up by who orders, so that it may be repeated.
    """

    id: str
    source: str
    streams: tuple[str, ...] | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    order: Order = Order.OLDEST
    first: tuple[Span, ...] = ()
    rate_bytes: int = 0
    brake_ns: int = Pace().brake_ns
    patience_ns: int = 30 * NS_PER_S
