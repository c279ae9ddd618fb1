"""ReplayUser, fed by a master."""

from traffic import ReplayUser


class Posting(ReplayUser):
    """Posts the records of the run."""
