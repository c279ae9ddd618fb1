"""aiolocust's HttpUser, which posts one constant record; run by aiolocust, in a Python of its own."""

import sys
from pathlib import Path

from aiolocust import HttpUser

sys.path.append(str(Path(__file__).parent))  # Locust does this by itself

from posted import BODY, HEADERS


class Posting(HttpUser):  # type: ignore[misc] # it is not installed when types are checked
    """Posts it."""

    async def run(self) -> None:
        """One request."""
        async with self.client.post("/", data=BODY, headers=HEADERS):
            pass
