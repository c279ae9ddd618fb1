"""Recorded requests as tools write them: by the tools themselves, or by their formats' own descriptions."""

from traffic.dataset.from_requests.gor import SEPARATOR

# As Apache 2.4 wrote it, of requests with bytes and quotes that need escapes, of a TLS handshake, and of a POST.
APACHE = r"""
127.0.0.1 - - [28/Nov/2026:00:53:42 +0000] "GET /a\"b\\c?q=\"x\" HTTP/1.1" 404 236 "-" "-"
127.0.0.1 - - [28/Nov/2026:00:53:42 +0000] "GET /index?q=1&y=\xc3\xb1 HTTP/1.1" 200 3 "http://a/\xe9" "me \"it\" \\ x"
127.0.0.1 - - [28/Nov/2026:00:53:42 +0000] "\x16\x03\x01\x02" 400 266 "-" "-"
127.0.0.1 - - [28/Nov/2026:00:53:42 +0000] "GET /caf%C3%A9%20x HTTP/1.1" 404 236 "-" "curl/8"
127.0.0.1 - - [28/Nov/2026:00:53:42 +0000] "POST /orders HTTP/1.1" 404 236 "-" "-"
"""

# As the pages of AWS on these logs have them.
ALB = (
    "https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.0.9:2817 10.0.0.1:80 0.1 0.1 0.1 "
    '200 200 0 57 "GET https://www.example.com:443/a/7?b=c HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    '"Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:1:certificate/1" '
    '1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-"'
)
CLOUDFRONT_FIELDS = (
    "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) "
    "cs-uri-query cs(Cookie) time-taken"
)
CLOUDFRONT = (
    f"#Version: 1.0\n#Fields: {CLOUDFRONT_FIELDS}\n"
    "2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111.cloudfront.net\t/index%2520x.html\t200\t-\t"
    "Mozilla/5.0%20(X11)\ta=b%2520c\tzip=98101\t0.500\n"
    "2019-12-04\t21:02:32\tLAX1\t392\t192.0.2.100\tPOST\td111.cloudfront.net\t/\t200\t-\tcurl\t-\t-\t0.001\n"
)


def message(raw: bytes, kind: int = 1, at: int = 1_795_338_001_500_000_000) -> bytes:
    """A message of a file of GoReplay."""
    return f"{kind} 8e091765ae902fef8a2b7d9dd960e9d52222bd8c {at}\n".encode() + raw + SEPARATOR


def http(line: str = "POST /a HTTP/1.1", body: bytes = b"", **fields: object) -> bytes:
    """A request as it is on the wire."""
    head = "\r\n".join([line, *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())])
    return head.encode("latin-1") + b"\r\n\r\n" + body
