"""What people read of a run, in one place: the words, the colour, and whether it is a success."""

from typing import Any

import pytest

from traffic.core.master.verdict import disagreement, succeeded, verdict

NOTHING = {"delivered": 0, "rejected": 0, "in_doubt": 0, "unsent": 0}


def account(state: str = "completed", audit: dict[str, Any] | None = None, **counts: int) -> dict[str, Any]:
    """An account of as many records as its counts have."""
    return {"state": state, "counts": {**NOTHING, **counts, "records": sum(counts.values())}, "audit": audit}


def audit(stored: int, *, agrees: bool) -> dict[str, Any]:
    return {"stored": stored, "posts": stored, "agrees": agrees}


@pytest.mark.parametrize(
    ("seen", "text", "level"),
    [
        (account(delivered=100), "completed", "good"),
        (account(delivered=100, audit=audit(100, agrees=True)), "completed", "good"),
        (account(delivered=0, rejected=600), "completed, 600 rejected", "warning"),
        (account(delivered=9, rejected=2, in_doubt=3), "completed, 2 rejected, 3 in doubt", "warning"),
        (account(delivered=100, audit=audit(5, agrees=False)), "completed, audit disagrees", "warning"),
        (account("stopped", delivered=9, unsent=1), "stopped", "warning"),
        (account("stopped", delivered=9, rejected=1), "stopped, 1 rejected", "warning"),
        (account("failed", delivered=9, rejected=1), "failed, 1 rejected", "bad"),
        (account("failed", delivered=10), "failed", "bad"),
        *[({"state": state}, state, "info") for state in ("ready", "reading", "running")],
        *[({"state": state}, state, "warning") for state in ("paused", "stopping", "cut off")],
        ({"state": "unknown", "counts": None}, "unknown", "bad"),
        ({"state": "stopped", "counts": None}, "stopped", "warning"),
        ({"state": "completed", "counts": None}, "completed", "warning"),  # nobody knows of what became of it
        ({"state": "completed", "counts": {}}, "completed", "warning"),
        (account("running", delivered=1, rejected=600), "running", "info"),
    ],
)
def test_green_is_only_a_run_of_which_all_was_delivered_and_nobody_disagrees(
    seen: dict[str, Any], text: str, level: str
) -> None:
    made = verdict(seen)
    assert (made["text"], made["level"]) == (text, level)


@pytest.mark.parametrize(
    ("seen", "sentence"),
    [
        (account(delivered=100), "Every record was delivered."),
        (account(delivered=1, rejected=600), "Every record has its outcome, and 600 were not delivered."),
        (account(delivered=1, in_doubt=1), "Every record has its outcome, and 1 was not delivered."),
        (
            account(delivered=100, audit=audit(5, agrees=False)),
            "Every record was delivered. The API's own audit does not agree with the report: 95 records were "
            "delivered, and the API has not stored them.",
        ),
        (account("stopped", delivered=1, unsent=2), "Stopped before every record had its outcome."),
        ({"state": "cut off", "counts": None}, ""),
    ],
)
def test_the_sentence_says_it_in_full(seen: dict[str, Any], sentence: str) -> None:
    assert verdict(seen)["sentence"] == sentence


@pytest.mark.parametrize(
    ("seen", "so"),
    [
        (account(delivered=100), True),
        (account(delivered=100, audit=audit(100, agrees=True)), True),
        (account(delivered=100, audit=audit(5, agrees=False)), False),
        (account(delivered=100, audit=audit(105, agrees=False)), False),
        (account(delivered=99, rejected=1, audit=audit(99, agrees=True)), False),
    ],
)
def test_a_run_whose_audit_disagrees_is_no_success(seen: dict[str, Any], so: bool) -> None:
    assert succeeded(seen) == so


@pytest.mark.parametrize(
    ("stored", "how"),
    [
        (97, "1 record was delivered, and the API has not stored it"),
        (90, "8 records were delivered, and the API has not stored them"),
        (98, ""),
        (100, ""),
        (101, "the API has stored 1 record more than it can have been sent"),
        (203, "the API has stored 103 records more than it can have been sent"),
    ],
)
def test_an_audit_contradicts_what_it_has_too_little_or_too_much_for(stored: int, how: str) -> None:
    assert disagreement({"stored": stored}, {"delivered": 98, "rejected": 1, "in_doubt": 1}) == how
