"""How a user's connections verify the API: as its class says, or else as the options do."""

import ssl
from typing import Any

from traffic.http.resolver import tls_context
from traffic.machine_limits import OwnFaultError
from traffic.settings.request_options import RequestOptions


def tls_of(user: Any, options: RequestOptions) -> ssl.SSLContext:
    """Return the TLS of a class's users. OwnFaultError, naming the file, if one cannot be used."""
    return made_tls(
        insecure=user.insecure or options.insecure,
        ca_file=user.ca_file or options.ca_file,
        certificate=user.client_certificate or options.certificate,
    )


def made_tls(*, insecure: bool, ca_file: str | None, certificate: str | tuple[str, str] | None) -> ssl.SSLContext:
    """Make a TLS context. OwnFaultError, naming the file, if one cannot be used."""
    try:
        return tls_context(insecure=insecure, ca_file=ca_file, certificate=certificate)
    except OSError as error:
        raise OwnFaultError(str(error)) from error
