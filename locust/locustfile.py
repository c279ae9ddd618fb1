"""What the users do. Edit this file; docs/locustfile.md shows more."""

from traffic import ReplayUser, only_at_stub, task


class MessageTraffic(ReplayUser):
    """Posts the records of the traffic file, each once in total; at the API stub, now and then reads them."""

    @task
    def post_message(self) -> None:
        """Take the next record that nobody has had, and POST it; the user ends when the run needs it no more."""
        self.deliver_next()

    @task
    @only_at_stub
    def read_messages(self) -> None:
        """Read the newest messages, as a person would who looks at the page. An API of your own is not asked that."""
        self.client.get("/")
