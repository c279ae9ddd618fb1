"""Tasks that belong to the API stub: with an API of one's own, nothing goes there that nobody asked for."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from traffic.environment import STUB
from traffic.runs.target import same_host

ANY = "*"
_MARK = "traffic_only_at_stub"

F = TypeVar("F", bound=Callable[..., Any])


def only_at_stub(task: F) -> F:
    """Mark a task (below @task) that is only done if the users' host is the API stub of this stack.

    TRAFFIC_STUB has the stub's address, or several with commas between them; `*` means any API.
    """
    setattr(task, _MARK, True)
    return task


def tasks_for(tasks: list[Any], host: str | None) -> list[Any]:
    """Return those of a class's tasks that its users do at this host."""
    if is_stub(host):
        return tasks
    return [task for task in tasks if not getattr(task, _MARK, False)]


def is_stub(host: str | None) -> bool:
    """Whether a host is the API stub of this stack."""
    stubs = [stub.strip() for stub in os.environ.get(STUB, "").split(",") if stub.strip()]
    return ANY in stubs or any(same_host(host or "", stub) for stub in stubs)
