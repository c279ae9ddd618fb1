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


class Authority:
    """A root that signs an intermediate, which signs certificates of 127.0.0.1. All files are in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root, self._root_key = self._signed("root", None, "CA:true")
        self._between, self._between_key = self._signed("between", (self.root, self._root_key), "CA:true")

    def leaf(self, name: str, *, chain: bool = False, days: int = 2) -> tuple[str, str]:
        """The files of a certificate and its key; `chain`: the intermediate stands behind it, as an API should send it.

        With `days` below 0 it has expired.
        """
        certificate, key = self._signed(name, (self._between, self._between_key), "CA:false", days)
        if chain:
            both = self._folder / f"{name}-chain.pem"
            both.write_text(Path(certificate).read_text() + Path(self._between).read_text())
            certificate = str(both)
        return certificate, key

    def _signed(self, name: str, by: tuple[str, str] | None, constraint: str, days: int = 2) -> tuple[str, str]:
        paths = [str(self._folder / f"{name}.{kind}") for kind in ("pem", "key", "csr", "ext")]
        certificate, key, request, extensions = paths
        Path(extensions).write_text(f"basicConstraints={constraint}\nsubjectAltName=IP:127.0.0.1\n")
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        _run(*new, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        sign = ["openssl", "x509", "-req", "-in", request, "-extfile", extensions, "-out", certificate]
        who = ["-signkey", key] if by is None else ["-CA", by[0], "-CAkey", by[1], "-CAcreateserial"]
        _run(*sign, *who, "-days", str(days))
        return certificate, key


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
