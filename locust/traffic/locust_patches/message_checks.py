"""What Locust's own messages from a worker must hold, so that its handlers can be given them.

Locust takes them as they come. A number that is none stays in its lists of workers, or in its statistics, and whatever
looks at these later fails: the page, the loop that counts users.
"""

import math
from collections.abc import Callable, Container
from typing import Any

from locust.rpc import Message

from traffic.locust_patches import states

Test = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _any(_: Any) -> bool:
    return True


def _state(value: Any) -> bool:
    return _text(value) and value in states.ALL


def _version(value: Any) -> bool:
    """Locust's version; -1 is said by those that do not want it compared."""
    return value != "" if _text(value) else isinstance(value, int) and value == -1


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _each(test: Test) -> Test:
    return lambda value: isinstance(value, list) and all(map(test, value))


def _map(key: Test, test: Test) -> Test:
    return lambda value: isinstance(value, dict) and all(map(key, value)) and all(map(test, value.values()))


def _members(**tests: Test) -> Test:
    """A dict that has all of these; what else it has is for those who asked for it."""
    return lambda value: (
        isinstance(value, dict) and all(name in value and test(value[name]) for name, test in tests.items())
    )


def _if_there(name: str, test: Test) -> Test:
    return lambda value: isinstance(value, dict) and (name not in value or test(value[name]))


def _both(*tests: Test) -> Test:
    return lambda value: all(test(value) for test in tests)


_COUNTS = _map(_text, _whole)
_BY_NUMBER = _map(_number, _whole)
_ENTRY = _members(
    name=_text,
    method=_or_none(_text),
    last_request_timestamp=_or_none(_number),
    start_time=_number,
    num_requests=_whole,
    num_none_requests=_whole,
    num_failures=_whole,
    total_response_time=_number,
    max_response_time=_number,
    min_response_time=_or_none(_number),
    total_content_length=_number,
    response_times=_BY_NUMBER,
    num_reqs_per_sec=_BY_NUMBER,
    num_fail_per_sec=_BY_NUMBER,
)
_ERROR = _both(
    _members(method=_or_none(_text), name=_text, error=_text, occurrences=_whole),
    _if_there("first_seen", _or_none(_number)),
    _if_there("last_seen", _or_none(_number)),
)
# What the data of each of Locust's messages to a master must be.
WORDS: dict[str, Test] = {
    "client_ready": _version,
    "locustfile": _members(version=_text),
    "client_stopped": _any,
    "heartbeat": _both(_members(state=_state, current_cpu_usage=_number), _if_there("current_memory_usage", _number)),
    "stats": _members(
        stats=_each(_ENTRY),
        stats_total=_ENTRY,
        errors=_map(_text, _ERROR),
        user_classes_count=_COUNTS,
        user_count=_whole,
    ),
    "spawning": _any,
    "spawning_complete": _members(user_classes_count=_COUNTS),
    "logs": _members(worker_id=_text, logs=_each(_text)),
    "quit": _any,
    "exception": _members(msg=_text, traceback=_text),
}


def fault(message: Message, custom: Container[str]) -> str:
    """Why a worker's message cannot be handled; empty if it can. `custom` are the types that listeners ask for."""
    test = WORDS.get(message.type)
    if test is None:
        return "" if message.type in custom else f"its type {message.type[:60]!r} is unknown"
    return "" if test(message.data) else f"its {message.type!r} holds something else than it should"
