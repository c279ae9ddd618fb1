"""locust-plugins' Distributor: each user asks the master for each record. The file is named by RECORDS."""

import json
import os
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.runners import Runner, WorkerRunner
from locust_plugins.distributor import Distributor


@events.init.add_listener
def _distribute(environment: Environment, runner: Runner, **_: Any) -> None:
    records = None
    if not isinstance(runner, WorkerRunner):
        records = enumerate(json.loads(Path(os.environ["RECORDS"]).read_text()))
    Posting.records = Distributor(environment, records, "records")


class Posting(FastHttpUser):
    """Posts the records that it is given."""

    records: Distributor

    @task
    def post(self) -> None:
        """POST the next."""
        index, record = next(self.records)
        self.client.post("/", json=record, headers={"Idempotency-Key": f"bench-{index}"})
