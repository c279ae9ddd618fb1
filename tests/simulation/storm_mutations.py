"""Mutations of the brake: each takes one of its rules away."""

import pytest

from traffic.core.master.coordinator import LeaseCoordinator
from traffic.core.master.storm import Storm
from traffic.core.worker.brake import Brake


def go_on_until_the_master_says_otherwise(patch: pytest.MonkeyPatch) -> None:
    """A worker tells of a storm, and goes on sending meanwhile."""
    patch.setattr(Brake, "stops", property(lambda self: False))


def keep_a_storm_to_oneself(patch: pytest.MonkeyPatch) -> None:
    """One worker stops, and the master stops nobody else."""
    patch.setattr(LeaseCoordinator, "_note_storm", lambda self, session, ack: None)


def trip_on_any_rejections(patch: pytest.MonkeyPatch) -> None:
    """It does not count how many were answered in between."""
    note = Brake.note_rejection
    patch.setattr(Brake, "note_rejection", lambda self, status, answered: note(self, status, 0))


def stop_again_for_the_same_reason(patch: pytest.MonkeyPatch) -> None:
    """That a person lets the run go on is forgotten."""

    def forget(self: Brake, _status: int) -> None:
        self.tripped = 0

    def forget_all(self: Storm) -> None:
        self.status, self.worker = 0, ""

    patch.setattr(Brake, "confirm", forget)
    patch.setattr(Storm, "accept", forget_all)


def forget_the_storm(patch: pytest.MonkeyPatch) -> None:
    """A restarted master does not know what the former one has met."""
    patch.setattr(Storm, "restore", lambda self, statuses: None)
