"""RecordUser, fed by a master."""

from traffic import RecordUser, task


class Posting(RecordUser):
    """Posts the records of the run."""

    @task
    def post(self) -> None:
        """POST the next."""
        self.deliver_next()
