"""Base classes of errors whose text explains to a person why something is refused. This module imports nothing."""


class RefusedError(Exception):
    """A run does not start; the text says what is wrong, and what to do."""


class ActRefusedError(Exception):
    """What a person asked for cannot be done with the run now: pause, unpause, stop. The text is one sentence."""
