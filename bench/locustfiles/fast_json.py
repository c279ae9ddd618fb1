"""Locust's FastHttpUser, given a dict, as most locustfiles do."""

from locust import FastHttpUser, task
from posted import HEADERS, RECORD


class Posting(FastHttpUser):
    """Posts one constant record."""

    @task
    def post(self) -> None:
        """POST it."""
        self.client.post("/", json=RECORD, headers=HEADERS)
