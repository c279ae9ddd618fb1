"""What a worker needs of its machine to send anything: open files, ports, memory. And the message if one runs out.

Such a fault is not the API's, nor the record's: nothing was sent, and the remedy is on this machine.
"""

import errno
import logging
import os
import resource
import socket
import ssl

logger = logging.getLogger(__name__)

# Files that a worker has open beside its users' connections: Locust's, its log, those of name lookups.
OWN_FILES = 64
_NO_FILE = frozenset({errno.EMFILE, errno.ENFILE})
_NO_MEMORY = frozenset({errno.ENOBUFS, errno.ENOMEM})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_OWN = _NO_FILE | _NO_MEMORY | _FORBIDDEN | {errno.EADDRNOTAVAIL}


class OwnFaultError(OSError):
    """A file that this worker needs to send anything cannot be used; the text names it, and says why."""


def open_files() -> int | None:
    """Return how many files this process may have open; None if there is no limit."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def raise_open_files() -> None:
    """Raise the limit of open files as far as this process may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:  # macOS allows less than it says (kern.maxfilesperproc)
            logger.warning("the limit of open files stays at %d: %s", soft, error)


def too_few_files(users: int) -> str:
    """Return a warning if this worker may not open enough files for so many users; else an empty text."""
    limit = open_files()
    if limit is None or users + OWN_FILES <= limit:
        return ""
    return (
        f"this worker will have {users} users, and may open {limit} files, of which each user needs one: raise the "
        f"limit (ulimit -n {users + OWN_FILES}, or more; in Compose: ulimits), or start more workers"
    )


def own_fault(error: object) -> str:
    """Return what this worker lacks, and the remedy, if an error is due to that; else an empty text."""
    if isinstance(error, OwnFaultError):
        return str(error)
    # The number in an SSLError is OpenSSL's.
    code = error.errno if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else None
    if isinstance(error, socket.gaierror):
        # The resolver opens files and sockets, and does not report it if it cannot.
        code = errno.EMFILE if _out_of_files() else None
    if code not in _OWN:
        return ""
    if code in _NO_FILE:
        limit = f" (it may open {open_files()})" if code == errno.EMFILE else " (nor has the machine)"
        remedy = "raise the limit (ulimit -n; in Compose: ulimits), or start fewer users, or more workers"
        return f"this worker has no file descriptor left{limit}: {remedy}"
    text = f"{type(error).__name__}: {error}"
    if code == errno.EADDRNOTAVAIL:
        remedy = "have users and API keep their connections, start fewer users, or widen net.ipv4.ip_local_port_range"
        return f"this worker has no port left, or no address that reaches the API ({text}): {remedy}"
    if code in _NO_MEMORY:
        return f"this worker has no memory left for connections ({text}): start fewer users, or more workers"
    return f"this worker may not connect ({text}): check the machine's firewall and the process's rights"


def _out_of_files() -> bool:
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in _NO_FILE
    return False
