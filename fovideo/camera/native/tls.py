"""RTSP over TLS for a reader that knows plain sockets: a thread stands between, and takes the TLS off."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading

from fovideo.camera.config import CameraConfig
from fovideo.errors import CameraUnreachable

_CHUNK = 1 << 18
_SEND_S = 10.0


def without_tls(camera: CameraConfig, connection: socket.socket, timeout_s: float) -> socket.socket:
    """A plain socket to the camera behind a connected one, which is the thread's from now on.

    Both end with either. Raises CameraUnreachable when the camera does not speak TLS, or shows a certificate
    that camera.tls_ca_file does not vouch for.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        if camera.tls_ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cafile=camera.tls_ca_file)
        connection.settimeout(timeout_s)
        outer = context.wrap_socket(connection)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise CameraUnreachable(
            f"its certificate is not to be trusted: {error.verify_message}", where=camera.source
        ) from None
    except TimeoutError:
        connection.close()
        raise CameraUnreachable("no answer in time", where=camera.source, hint="is it rtsps?") from None
    except OSError as error:
        connection.close()
        reason = getattr(error, "reason", "") or error.strerror or type(error).__name__
        raise CameraUnreachable(f"no TLS: {reason}", where=camera.source, hint="is it rtsps?") from None
    inner, plain = socket.socketpair()
    threading.Thread(target=_carry, args=(outer, inner), name=f"tls-{camera.name}", daemon=True).start()
    return plain


def _carry(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Until one of both ends."""
    with outer, inner, selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
        selector.register(outer, selectors.EVENT_READ)
        selector.register(inner, selectors.EVENT_READ)
        outer.setblocking(False)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if inner in ready:
                data = inner.recv(_CHUNK)
                if not data:
                    return
                outer.settimeout(_SEND_S)
                outer.sendall(data)
                outer.setblocking(False)
            if outer in ready and not _inwards(outer, inner):
                return


def _inwards(outer: ssl.SSLSocket, inner: socket.socket) -> bool:
    """All that has come; False at its end. A reader that is slow is waited for."""
    while True:
        try:
            data = outer.recv(_CHUNK)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return True
        if not data:
            return False
        inner.sendall(data)
