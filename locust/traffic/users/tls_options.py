"""How a user's connections verify the API: as its class says, or else as the options do."""

import ssl
from typing import Any

from traffic.http.resolver import tls_context
from traffic.settings.request_options import RequestOptions


def tls_of(user: Any, options: RequestOptions) -> ssl.SSLContext:
    """Return the TLS of a class's users. OSError, naming the file, if one cannot be used."""
    return tls_context(
        insecure=user.insecure or options.insecure,
        ca_file=user.ca_file or options.ca_file,
        certificate=user.client_certificate or options.certificate,
    )
