"""httpx without TLS: the stub speaks none, and loading all certificates for each request was most of a test's time."""

import ssl
from functools import partial

import httpx

from support.deadlines import stretched

_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=_NO_CERTIFICATES, timeout=stretched(30))
post = partial(httpx.post, verify=_NO_CERTIFICATES, timeout=stretched(30))
client = partial(httpx.Client, verify=_NO_CERTIFICATES, timeout=stretched(30))
