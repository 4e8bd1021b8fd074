"""From site.toml to what an endpoint checks and shows: access, TLS, credentials."""

from __future__ import annotations

import ssl

from fovideo.errors import ConfigError, UsageError
from fovideo.peer import Credentials
from fovideo.peer.credentials import load_own, load_trusted
from fovideo.service.access import Access, Client, Role
from fovideo.site import Place, Site


def access_to(site: Site, endpoint: Place) -> Access:
    """Who may do what at this endpoint: who shows its token, the clients of the site, and the other machines
    by their certificates. Raises ConfigError for a token that is not where the site says.
    """
    clients = [
        Client(Role(client.role), client.secret_token(), client.name if site.tls.ca else "")
        for client in site.clients
    ]
    if token := endpoint.secret_token():
        clients.append(Client(Role.ADMIN, token))
    if site.tls.ca:
        machines = (*site.servers, *site.spares, *site.managements)
        clients += [Client(Role.SPARE, certificate=machine.name) for machine in machines]
    return Access(clients, closed=bool(site.clients or site.tls.ca))


def server_context(site: Site, endpoint: Place) -> ssl.SSLContext | None:
    """What the endpoint speaks; None: plain HTTP. Raises ConfigError for files that cannot be used."""
    tls = site.tls.of(endpoint.name)
    if not tls.cert:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        load_own(context, tls.cert, tls.key)
        if tls.ca:
            load_trusted(context, tls.ca)
            required = tls.client_certificates == "required"
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    except UsageError as error:
        raise ConfigError(error.what, where=error.where, hint=error.hint) from None
    return context


def credentials_for(site: Site, endpoint: Place, peer: Place) -> Credentials:
    """What an endpoint shows to another one: that one's token, and its own certificate."""
    tls = site.tls.of(endpoint.name)
    shows = tls.cert if tls.ca else ""
    return Credentials(token=peer.secret_token(), ca=tls.ca, cert=shows, key=tls.key if shows else "")
