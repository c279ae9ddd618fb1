"""How long the stub's audit of a run takes, in a store that holds as much again of other runs.

    python bench/stub_audit.py [--messages 1000000] [--rounds 5]

Half of the messages are of the run asked for, and one of these is missing, which has to be found. The store is filled
and asked as the stub does it, in this process; mongod is one of its own.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import uvloop

from stub.message import Message, make_message
from stub.store import Store
from stub.store_mongo import MongoStore
from stub.store_sqlite import SqliteStore
from support.mongod import running_mongod

BODY = '{"name": "Ana María Núñez", "msg": "Un mensaje de unas cincuenta letras, como en los datos."}'.encode()
BATCH = 1000


def message(place: int) -> Message:
    """Return a message of the run asked for, or of one of the ten others, in turn; index 1 of each is missing."""
    index, of_others = divmod(place, 2)
    run = f"other{index % 10}" if of_others else "asked"
    index += index >= 1
    return make_message(BODY, f"{run}-{index}", f"worker-{index % 8}", f"server-{index % 3}", datetime.now(UTC))


async def measure(store: Store, messages: int, rounds: int) -> list[float]:
    """Fill a store, and return how long each audit took, in seconds."""
    await store.open()
    for first in range(0, messages, BATCH):
        await store.write([message(place) for place in range(first, min(first + BATCH, messages))])
    took = []
    for _ in range(rounds):
        began = time.monotonic()
        found = await store.audit("asked")
        took.append(time.monotonic() - began)
        if found.stored != messages // 2 or found.indexes.missing_below_max != [1]:
            raise ValueError(f"a wrong audit: {found}")
    await store.close()
    return took


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000, help="an even number, 4 or more")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print(f"| store of {asked.messages:,} messages | audit of {asked.messages // 2:,}, seconds | range |")
    print("| --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name, running_mongod(Path(name) / "mongod") as mongod:
        stores: dict[str, Store] = {
            "SQLite": SqliteStore(Path(name) / "audit.sqlite"),
            "MongoDB": MongoStore(f"{mongod.url}/audit", timeout=60),
        }
        for store_name, store in stores.items():
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                took = runner.run(measure(store, asked.messages, asked.rounds))
            print(f"| {store_name} | {statistics.median(took):.2f} | {min(took):.2f}-{max(took):.2f} |")


if __name__ == "__main__":
    main()
