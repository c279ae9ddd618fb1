"""Static slices: the master deals each worker its part of RECORDS at the start, in one custom message."""

import json
import os
from collections import deque
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, Runner, WorkerRunner

mine: deque[tuple[int, Any]] = deque()


@events.init.add_listener
def _listen(runner: Runner, **_: Any) -> None:
    if isinstance(runner, WorkerRunner):
        runner.register_message("bench.slice", lambda msg, **_: mine.extend(msg.data))


@events.test_start.add_listener
def _assign(environment: Environment, **_: Any) -> None:
    runner = environment.runner
    if not isinstance(runner, MasterRunner):
        return
    records = list(enumerate(json.loads(Path(os.environ["RECORDS"]).read_text())))
    workers = list(runner.clients)
    for at, worker in enumerate(workers):
        runner.send_message("bench.slice", records[at :: len(workers)], worker)  # type: ignore[arg-type] # any value will do


class Posting(FastHttpUser):
    """Posts the records of the worker's slice."""

    @task
    def post(self) -> None:
        """POST the next record; end the user if there is none."""
        if not mine:
            raise StopUser
        index, record = mine.popleft()
        self.client.post("/", json=record, headers={"Idempotency-Key": f"bench-{index}"})
