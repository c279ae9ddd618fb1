"""Search for a schedule that notices a mutation."""

from collections.abc import Callable, Iterable

from simulation.mutations import mutated
from simulation.promises import BrokenPromiseError
from traffic.core.master.invariants import BrokenInvariantError


def check_noticed(name: str, run: Callable[[int], object], seeds: Iterable[int]) -> None:
    """Check that one of the schedules breaks a promise or an invariant with the mutation, and does not without it."""
    with mutated(name):
        found = next((seed for seed in seeds if _breaks(run, seed)), None)
    assert found is not None, f"{name} went unnoticed"
    run(found)


def _breaks(run: Callable[[int], object], seed: int) -> bool:
    try:
        run(seed)
    except (BrokenPromiseError, BrokenInvariantError):
        return True
    return False
