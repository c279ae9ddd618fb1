"""What Locust's own messages from a worker must hold before Locust handles them.

Locust accepts anything. A value that is no number stays in its list of workers, or in its statistics, and whatever
reads these later fails: the page, the loop that counts users.
"""

import math
from collections.abc import Callable, Container
from typing import Any

from locust.rpc import Message

from traffic.locust_patches import states

Test = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_anything(_: Any) -> bool:
    return True


def _is_state(value: Any) -> bool:
    return _is_text(value) and value in states.ALL


def _is_version(value: Any) -> bool:
    """Return whether this is a version of Locust; -1 is one that the master does not compare."""
    return value != "" if _is_text(value) else isinstance(value, int) and value == -1


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _each(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _map(key: Test, test: Test) -> Test:
    return lambda value: isinstance(value, dict) and all(map(key, value)) and all(map(test, value.values()))


def _members(**tests: Test) -> Test:
    """Test for a dict with all of these members; others may be there, for listeners of other packages."""
    return lambda value: (
        isinstance(value, dict) and all(name in value and test(value[name]) for name, test in tests.items())
    )


def _if_there(name: str, test: Test) -> Test:
    return lambda value: isinstance(value, dict) and (name not in value or test(value[name]))


def _both(*tests: Test) -> Test:
    return lambda value: all(test(value) for test in tests)


_COUNTS = _map(_is_text, _is_count)
_BY_NUMBER = _map(_is_number, _is_count)
_ENTRY = _members(
    name=_is_text,
    method=_or_none(_is_text),
    last_request_timestamp=_or_none(_is_number),
    start_time=_is_number,
    num_requests=_is_count,
    num_none_requests=_is_count,
    num_failures=_is_count,
    total_response_time=_is_number,
    max_response_time=_is_number,
    min_response_time=_or_none(_is_number),
    total_content_length=_is_number,
    response_times=_BY_NUMBER,
    num_reqs_per_sec=_BY_NUMBER,
    num_fail_per_sec=_BY_NUMBER,
)
_ERROR = _both(
    _members(method=_or_none(_is_text), name=_is_text, error=_is_text, occurrences=_is_count),
    _if_there("first_seen", _or_none(_is_number)),
    _if_there("last_seen", _or_none(_is_number)),
)
# What the data of each of Locust's messages to a master must be.
CHECKS: dict[str, Test] = {
    "client_ready": _is_version,
    "locustfile": _members(version=_is_text),
    "client_stopped": _is_anything,
    "heartbeat": _both(
        _members(state=_is_state, current_cpu_usage=_is_number), _if_there("current_memory_usage", _is_number)
    ),
    "stats": _members(
        stats=_each(_ENTRY),
        stats_total=_ENTRY,
        errors=_map(_is_text, _ERROR),
        user_classes_count=_COUNTS,
        user_count=_is_count,
    ),
    "spawning": _is_anything,
    "spawning_complete": _members(user_classes_count=_COUNTS),
    "logs": _members(worker_id=_is_text, logs=_each(_is_text)),
    "quit": _is_anything,
    "exception": _members(msg=_is_text, traceback=_is_text),
}


def why_invalid(message: Message, custom: Container[str]) -> str:
    """Return why a worker's message cannot be handled; empty if it can. `custom` has the types with a listener."""
    test = CHECKS.get(message.type)
    if test is None:
        return "" if message.type in custom else f"its type {message.type[:60]!r} is unknown"
    return "" if test(message.data) else f"its {message.type!r} holds something else than it should"
