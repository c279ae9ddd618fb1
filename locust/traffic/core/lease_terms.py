"""Define the terms of leases: the protocol's times, and the bounds of a lease.

Guarded here: the master's terms count. A welcome carries them to each worker.
"""

from dataclasses import dataclass, fields
from typing import Any

from traffic.core import wire

# How long a worker may be silent before its records go to others, unless a person says otherwise; in seconds.
LEASE_S = 5.0


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """The protocol's times in seconds, and the bounds of a lease and of what a worker holds."""

    lease_s: float = LEASE_S
    ack_s: float = 0.25
    idle_ack_s: float = 1.0
    hello_s: float = 0.5
    lease_records: int = 4000
    lease_bytes: int = 1 << 20
    window_records: int = 16000

    @classmethod
    def of(cls, lease_s: float) -> "LeaseTerms":
        """Return the terms for leases of `lease_s` seconds: acks come as often in a lease, however long it is."""
        usual = cls()
        part = lease_s / usual.lease_s
        return cls(lease_s=lease_s, ack_s=usual.ack_s * part, idle_ack_s=usual.idle_ack_s * part)

    def to_wire(self) -> dict[str, float]:
        """Return the terms as a dict that msgpack can carry."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_wire(cls, data: Any) -> "LeaseTerms":
        """Read the terms. Raises ProtocolError if one is missing, or is no positive number."""
        read: dict[str, Any] = {one.name: wire.positive(wire.field(data, one.name)) for one in fields(cls)}
        return cls(**{name: value if name.endswith("_s") else int(value) for name, value in read.items()})


USUAL_TERMS = LeaseTerms()
