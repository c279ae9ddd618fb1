"""Certificates for tests, made by openssl."""

import subprocess
from pathlib import Path


def self_signed(folder: Path, name: str) -> tuple[str, str]:
    """A certificate of 127.0.0.1 and ::1, signed by itself, and its key: their files. It holds for two days."""
    certificate, key = folder / "cert.pem", folder / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,IP:::1"]
    subprocess.run([*command, *subject, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    return str(certificate), str(key)
