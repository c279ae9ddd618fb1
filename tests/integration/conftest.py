"""What a module's tests share: one API, and its `shared_cluster`, if it makes one, between two runs."""

from collections.abc import Iterator

import pytest

from support.cluster import Cluster
from support.fake_api import FakeApi, Step, fake_api


@pytest.fixture(scope="module")
def shared_api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


@pytest.fixture
def api(shared_api: FakeApi) -> FakeApi:
    """The shared API, which answers at once and counts from 0. Modules that need another make their own."""
    shared_api.forget()
    shared_api.always(Step())
    return shared_api


@pytest.fixture
def cluster(shared_cluster: Cluster, api: FakeApi) -> Iterator[Cluster]:
    """The shared cluster, between two runs."""
    yield shared_cluster
    left = shared_cluster.status
    if left["run"] is not None and left["ended"] is None:
        shared_cluster.stop()
        shared_cluster.until(lambda: shared_cluster.status["ended"], "a run that a test left behind ends")
