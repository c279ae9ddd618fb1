"""What an attempt means to which no answer came: whose fault that is, and what people are told."""

from traffic.core.outcome import Answer, Fault
from traffic.http.certificate_fault import certificate_fault
from traffic.machine_limits import own_fault


def unanswered(error: object, *, sent: bool, waited: float = 0.0, otherwise: Fault = "api", reason: str = "") -> Answer:
    """Return the answer for an attempt that ended in an error after `waited` seconds. `sent` False: no byte left.

    If the request did not leave because this worker lacks something, that is its own fault, and the reason says what;
    `otherwise` it is the fault of the API, or of the user's code, for the `reason` given, or the error's own.
    """
    own = "" if sent else own_fault(error)
    fault: Fault = "worker" if own else otherwise
    return Answer(0, own or reason or reason_of(error), sent=sent, fault=fault, waited=waited)


def reason_of(error: object) -> str:
    """Return an error as a report shows it."""
    return certificate_fault(error) or f"{type(error).__name__}: {error}"
