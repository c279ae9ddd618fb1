"""What a person does to a run of the simulation: pauses it, lets it go on, stops it."""

from typing import TYPE_CHECKING

from traffic.core.record_state import RecordState

if TYPE_CHECKING:
    from simulation.world import World


class Person:
    """The person at a world's master."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._pause_changes = 0

    def pause_for(self, seconds: float) -> None:
        """Pause the run, if there is a master to do it, and let it go on after a while."""
        if self._world.master.up and not self._world.settled:
            self._set_paused(paused=True)
            self.unpause_later(after=seconds)

    def unpause_later(self, after: float) -> None:
        """Let the run go on later, or as soon as a master is up then; not if it was let go on or paused meanwhile."""
        latest, world = self._pause_changes, self._world

        def unpause() -> None:
            if self._pause_changes == latest and world.master.up:
                self._set_paused(paused=False)
            elif self._pause_changes == latest:
                world.at(world.now + 0.5, unpause)

        world.at(world.now + after, unpause)

    def change_rate(self, rate: float) -> None:
        """Have the rest of the run sent at another rate, in records a second, if there is a master to do it."""
        if self._world.master.up and not self._world.settled:
            self._world.promises.master_acted = True
            self._world.master.change_rate(rate, self._world.now)

    def check_pause(self, after: float, seconds: float) -> None:
        """Pause the run: from `after` seconds later on nothing moves for `seconds`. Then let it go on."""
        world = self._world
        world.run_until_master_is_up()
        self._set_paused(paused=True)
        world.run_for(after)
        sent, leased = world.api.posts.total(), self._leased()
        world.run_for(seconds)
        world.promises.promise(world.api.posts.total() == sent, "the pause: records are sent")
        world.promises.promise(self._leased() == leased, "the pause: workers lose what they hold")
        self._set_paused(paused=False)

    def stop(self, patience: float) -> None:
        """Stop the run: wait for last acks for `patience` seconds, then close it."""
        world = self._world
        world.run_until_master_is_up()
        world.carry_out(world.master.coordinator.stop())
        until = world.now + patience
        while not world.master.coordinator.nothing_leased and world.now < until:
            world.run_for(0.1)
        world.carry_out(world.master.coordinator.close())
        world.promises.check()

    def _leased(self) -> list[tuple[int, int]]:
        assert self._world.run
        return list(self._world.run.ledger.positions(RecordState.LEASED))

    def _set_paused(self, *, paused: bool) -> None:
        self._world.promises.master_acted = True
        self._pause_changes += 1
        self._world.master.set_paused(paused=paused)
