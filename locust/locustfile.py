"""What the users do. Edit this file; docs/locustfile.md shows more."""

from traffic import ReplayUser, task


class MessageTraffic(ReplayUser):
    """Posts the records of the traffic file, each once in total, and now and then reads the messages."""

    @task
    def post_message(self) -> None:
        """Take the next record that nobody has had, and POST it; the user ends when the run needs it no more."""
        self.deliver_next()

    @task
    def read_messages(self) -> None:
        """Read the newest messages, as a person would who looks at the page."""
        self.client.get("/")
