"""ReplayUser with a task, fed by a master."""

from traffic import ReplayUser, task


class Posting(ReplayUser):
    """Posts the records of the run."""

    @task
    def post(self) -> None:
        """POST the next."""
        self.deliver_next()
