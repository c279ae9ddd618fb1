"""What the journal costs: whole runs with it beside runs without, in turn.

    python bench/journal.py [--records 40000] [--rounds 5] [--workers 2] [--users 40]

The runs "without" are made by a locustfile that lets the outbox write nothing; the product has no such switch. The
API is a process that answers 201 and does no more. The rate is what the delivery report says, start and end included;
the ratio is taken within each round. The state folders are in --folder, which must be on a real disk.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from support.cluster import LOCUSTFILE, Cluster, records_file

WITHOUT = """
from traffic.master.outbox import Outbox

def no_journal(self, batch):
    self._facts = None
    return True

Outbox._journal = no_journal
"""
ANSWER = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"


class Api(asyncio.Protocol):
    """Answers 201 to whatever comes whole; one request at a time on a connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer once the body is there."""
        self.waiting += data
        head, mark, body = self.waiting.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0) if mark else 1
        if mark and len(body) >= length:
            self.waiting = b""
            self.transport.write(ANSWER)


async def serve() -> None:
    """Serve until the process is ended; the port is the first line of output."""
    server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def one_run(folder: Path, url: str, asked: argparse.Namespace, *, journaled: bool) -> tuple[float, float]:
    """One run to its end; records a second, and the seconds of CPU that the master had."""
    folder.mkdir()
    text = LOCUSTFILE if journaled else LOCUSTFILE + WITHOUT
    file = records_file(folder, asked.records)
    with Cluster(folder, url, workers=asked.workers, users=asked.users, locustfile=text, TRAFFIC_FILE=file) as cluster:
        _, status, usage = os.wait4(cluster.master.process.pid, 0)
        cluster.master.process.returncode = os.waitstatus_to_exitcode(status)
        assert cluster.master.process.returncode == 0, cluster.master.log[-2000:]
        report = cluster.report
    assert report["counts"]["delivered"] == asked.records
    return report["rate"], usage.ru_utime + usage.ru_stime


def main() -> None:
    """Run the rounds; print medians."""
    if sys.argv[1:] == ["serve"]:
        asyncio.run(serve())
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name, default in (("records", 40_000), ("rounds", 5), ("workers", 2), ("users", 40)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", default="/var/tmp")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-journal-", dir=asked.folder) as folder,
        subprocess.Popen([sys.executable, __file__, "serve"], stdout=subprocess.PIPE, text=True) as api,
    ):
        assert api.stdout is not None
        url = f"http://127.0.0.1:{int(api.stdout.readline())}"
        ratios: list[float] = []
        rates: dict[bool, list[float]] = {True: [], False: []}
        seconds: dict[bool, list[float]] = {True: [], False: []}
        for nth in range(asked.rounds):
            order = (True, False) if nth % 2 else (False, True)
            for journaled in order:
                rate, cpu = one_run(Path(folder) / f"{nth}-{journaled}", url, asked, journaled=journaled)
                rates[journaled].append(rate)
                seconds[journaled].append(cpu)
            ratios.append(rates[True][-1] / rates[False][-1])
            print(f"round {nth}: {rates[True][-1]:.0f}/s with, {rates[False][-1]:.0f}/s without", flush=True)
        api.kill()
    for journaled, name in ((True, "with"), (False, "without")):
        rate, cpu = statistics.median(rates[journaled]), statistics.median(seconds[journaled])
        print(f"{name:8} {rate:8.0f} records/s   master {1e6 * cpu / asked.records:6.1f} us of CPU a record")
    print(f"ratio    {statistics.median(ratios):8.3f} ({min(ratios):.3f}-{max(ratios):.3f})")


if __name__ == "__main__":
    main()
