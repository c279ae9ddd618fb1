"""The secret of master and workers, and the keys of their channel that follow from it.

Guarded here: a secret that cannot be used is refused. None is made up, and the channel is never left open for it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import zmq
from zmq.utils import z85

from traffic.environment import SECRET, SECRET_FILE
from traffic.errors import RefusedError

LEAST = 32
HOW_TO_SET = f"Set {SECRET_FILE} to a file with the same secret for the master and each worker (docs/channel.md)"
_SALT = b"traffic channel 1"
_MAKE_ONE = "Make one with: openssl rand -base64 32"


class SecretError(RefusedError):
    """A secret that cannot be used; the text says why, and what to do."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """Curve25519 keys as ZeroMQ takes them (Z85, RFC 32): those of the master, and those that all workers have."""

    master_secret: bytes
    master_public: bytes
    worker_secret: bytes
    worker_public: bytes

    @classmethod
    def of(cls, secret: bytes) -> "Keys":
        """Derive the keys from a secret (HKDF with SHA-256, RFC 5869)."""
        master, worker = (z85.encode(_derived(secret, name)) for name in (b"master", b"worker"))
        return cls(master, zmq.curve_public(master), worker, zmq.curve_public(worker))


def check_channel(environ: Mapping[str, str], required: str, bind_host: str) -> str:
    """Return what to warn of if the channel is open to other machines; empty if it is not.

    `required` is the value of --traffic-secret, `bind_host` where the workers' port listens. SecretError if there must
    be a secret, and is none.
    """
    if keys_from(environ) is not None:
        return ""
    if required not in ("", "no", "required", "yes"):
        raise SecretError(f"--traffic-secret must be required or empty, not {required!r}")
    if required in ("required", "yes"):
        raise SecretError(f"--traffic-secret says that there must be a secret, and there is none. {HOW_TO_SET}")
    if bind_host in ("localhost", "127.0.0.1", "::1"):
        return ""
    return f"whoever reaches the workers' port can take part, and records cross it in the clear. {HOW_TO_SET}"


def _derived(secret: bytes, name: bytes) -> bytes:
    """Return 32 bytes that follow from the secret and a name."""
    extracted = hmac.new(_SALT, secret, hashlib.sha256).digest()
    return hmac.new(extracted, name + b"\x01", hashlib.sha256).digest()


def keys_from(environ: Mapping[str, str]) -> Keys | None:
    """Return the keys of the secret that the environment has or names a file of; None if it does neither.

    SecretError if the file cannot be read, if both are given, or if the secret is too short to be one.
    """
    file, text = environ.get(SECRET_FILE, "").strip(), environ.get(SECRET, "").strip()
    if file and text:
        raise SecretError(f"{SECRET_FILE} and {SECRET} are both set. Unset one of them")
    if file:
        try:
            text = Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise SecretError(
                f"{SECRET_FILE}: the secret in {file} cannot be read: {why}. {_MAKE_ONE} > {file}"
            ) from error
    elif not text:
        return None
    if len(text) < LEAST:
        where = f"in {file}, by {SECRET_FILE}," if file else f"in {SECRET}"
        raise SecretError(f"the secret {where} has {len(text)} characters; the least is {LEAST}. {_MAKE_ONE}")
    return Keys.of(text.encode())
