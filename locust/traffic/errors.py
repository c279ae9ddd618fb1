"""The base of every error that tells a person why something is not done. It imports nothing, so that all may."""


class RefusedError(Exception):
    """A run does not start; the text says what is wrong, where, and what to do about it."""


class ActRefusedError(Exception):
    """What a person wants done with the run cannot be done now; the text, one sentence, says why."""
