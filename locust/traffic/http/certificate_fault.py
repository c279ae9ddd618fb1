"""Explain why an API's certificate was not accepted: in the certificate's own word, with the option that cures it."""

import ssl

_CA = "name the file of its issuer's certificate, with those between the two, in --traffic-ca-file"
# By the numbers of OpenSSL's X509_V_ERR_..., x509_vfy.h.
_CURES = {
    9: "check the clocks of both machines",
    10: "renew it on the API",
    18: "name its file in --traffic-ca-file",
    19: _CA,
    20: f"the issuer is not known here, or the API does not send the certificates between: {_CA}",
    21: f"the API does not send the certificates of its issuers: {_CA}",
    62: "write the host by a name that the certificate has",
    64: "write the host by a name or an address that the certificate has",
}


def certificate_fault(error: object) -> str:
    """Return why a certificate was refused, and what to do; empty if the error is another."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return ""
    cure = _CURES.get(error.verify_code, "renew it on the API")
    said = error.verify_message.rstrip(".")
    return f"the API's certificate is not accepted ({said}): {cure}; --traffic-insecure accepts any"
