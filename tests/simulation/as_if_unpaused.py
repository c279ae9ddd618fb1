"""Let one method of a side that is paused act as if it were not."""

from collections.abc import Callable
from typing import Any


def as_if_unpaused(method: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method that does what `method` does while `paused` of its object is False."""

    def act(self: Any, *args: Any) -> Any:
        paused, self.paused = self.paused, False
        made = method(self, *args)
        self.paused = paused
        return made

    return act
