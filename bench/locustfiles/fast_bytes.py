"""Locust's FastHttpUser, given bytes."""

from locust import FastHttpUser, task
from posted import BODY, HEADERS


class Posting(FastHttpUser):
    """Posts one constant record."""

    @task
    def post(self) -> None:
        """POST it."""
        self.client.post("/", data=BODY, headers=HEADERS)  # type: ignore[arg-type] # bytes will do, too
