"""Locust's HttpUser, which is built on requests."""

from locust import HttpUser, task
from posted import BODY, HEADERS


class Posting(HttpUser):
    """Posts one constant record."""

    @task
    def post(self) -> None:
        """POST it."""
        self.client.post("/", data=BODY, headers=HEADERS)
