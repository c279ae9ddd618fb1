"""Every sentence about the live run that the page can show, in every state and for every reason: to be read aloud."""

import re
from itertools import product

import pytest

from traffic.core.master.verdict import verdict
from traffic.master.web.reasons import AllowedActs

RUN = "20260102-030405-0012ab"
UNREACHED = "the API cannot be reached: ConnectionRefusedError(111, 'Connection refused')"
REASONS = [
    UNREACHED,
    "the API cannot be reached: it hung up.",
    "no worker is there",
    "it was resumed and waits for its workers",
    "the journal cannot be written: the disk is full",
]
BY_A_PERSON = ["paused by a person", f"paused by a person; {UNREACHED}", "paused by a person; no worker is there"]
ALL = [
    AllowedActs(),
    *map(AllowedActs, ("running", "stopping", "ending")),
    *(AllowedActs("paused", reason) for reason in REASONS),
    *(AllowedActs("paused", reason, by_person=True) for reason in BY_A_PERSON),
]


@pytest.mark.parametrize(
    ("seen", "pause", "unpause", "stop", "start"),
    [
        (AllowedActs(), "No run is live.", "No run is live.", "No run is live.", None),
        (AllowedActs("running"), "", "The run is not paused.", "", "Run r is running. Stop it first."),
        (
            AllowedActs("stopping"),
            *["The run is stopping."] * 3,
            "Run r is stopping. Stop it first.",
        ),
        (AllowedActs("ending"), *["The run is ending."] * 3, None),
        (
            AllowedActs("paused", "no worker is there"),
            "",
            "The run waits by itself: no worker is there. It goes on when that is over.",
            "",
            "Run r is paused: no worker is there. Stop it first.",
        ),
        (
            AllowedActs("paused", "the API cannot be reached: it hung up."),
            "",
            "The run waits by itself: the API cannot be reached: it hung up. It goes on when that is over.",
            "",
            "Run r is paused: the API cannot be reached: it hung up. Stop it first.",
        ),
        (
            AllowedActs("paused", "paused by a person", by_person=True),
            "The run is paused already.",
            "",
            "",
            "Run r is paused by a person. Stop it first.",
        ),
        (
            AllowedActs("paused", "paused by a person; no worker is there", by_person=True),
            "The run is paused already.",
            "",
            "",
            "Run r is paused by a person; no worker is there. Stop it first.",
        ),
    ],
)
def test_each_act_says_why_it_cannot_be_done(
    seen: AllowedActs, pause: str, unpause: str, stop: str, start: str | None
) -> None:
    assert (seen.why_not_pause(), seen.why_not_unpause(), seen.why_not_stop()) == (pause, unpause, stop)
    if start is not None:
        assert seen.why_not_start("r") == start


@pytest.mark.parametrize("seen", ALL, ids=str)
def test_every_sentence_is_one_that_can_be_read_aloud(seen: AllowedActs) -> None:
    state = verdict({"state": seen.state or "ready"})["sentence"]
    said = [seen.why_not_pause(), seen.why_not_unpause(), seen.why_not_stop(), state]
    said += [seen.why_not_start(RUN)] if seen.state else []
    for sentence, wrong in product(filter(None, said), (r"is (the|no|it|a) ", r"\.\.", r"\bpaused \(paused", r": \.")):
        assert not re.search(wrong, sentence), sentence
    assert all(re.fullmatch(r"[A-Z].*\.", sentence) for sentence in said if sentence and seen.state != "ending")


def test_the_rate_of_a_run_that_has_one_can_be_changed_while_it_is_live() -> None:
    assert AllowedActs("running", paced=True).why_not_change_rate() == ""
    assert AllowedActs("paused", "paused by a person", by_person=True, paced=True).why_not_change_rate() == ""
    assert AllowedActs("running").why_not_change_rate() == "The run has no rate that could be changed."
    assert AllowedActs("stopping", paced=True).why_not_change_rate() == "The run is stopping."
    assert AllowedActs().why_not_change_rate() == "No run is live."
