"""What statuses and bodies mean to a run, as a person wrote it: the rule that needs no Python.

Guarded here: a rule that a person wrote is the last word, but it cannot call a missing answer delivered: it is never
asked about one.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from traffic.core.outcome import RULES, Answer, Outcome, Policy, Rule
from traffic.core.pointer import found_at, read_pointer

# What `--traffic-outcomes` may say of a status. In doubt is what nobody knows, so nobody can say it.
WORDS = {"delivered": Outcome.DELIVERED, "rejected": Outcome.REJECTED, "retry": Outcome.RETRY}
# So much of a body is read for a rule that asks for it, in bytes.
MOST_JUDGED = 1 << 20
_PAIR = re.compile(r"\s*([1-5])([0-9]{2}|xx)\s*=\s*([a-z]+)\s*", re.IGNORECASE)


class OutcomesError(ValueError):
    """A text that says no outcomes; the text of the error is why."""


@lru_cache
def read_outcomes(text: str) -> dict[int, Outcome]:
    """Return what each status means by a text such as "409=delivered, 3xx=rejected"; a single status beats its class.

    OutcomesError if it is no such text, or says two things of one status.
    """
    classes: dict[int, Outcome] = {}
    single: dict[int, Outcome] = {}
    for part in filter(str.strip, text.split(",")):
        found = _PAIR.fullmatch(part)
        word = found[3].lower() if found else ""
        if found is None or word not in WORDS:
            raise OutcomesError(f"{part.strip()!r} is not STATUS=OUTCOME, such as 409=delivered or 3xx=rejected")
        named = found[2].lower()
        wanted = range(100) if named == "xx" else [int(named)]
        into = classes if named == "xx" else single
        for last in wanted:
            status = 100 * int(found[1]) + last
            if into.setdefault(status, WORDS[word]) is not WORDS[word]:
                raise OutcomesError(f"{part.strip()!r} contradicts what was said of {found[1]}{named} before")
    return classes | single


@dataclass(frozen=True, slots=True)
class WrittenRule:
    """A run's rule: what `outcomes` says of a status, else the policy's; then what the body says.

    An answer that would be delivered is rejected if something stands at `reject_if`, or if nothing stands at
    `deliver_if`; one that would be rejected is delivered if something stands at `deliver_if`. Both are JSON Pointers;
    empty: none. False, null, 0, and empty texts, arrays and objects are nothing.
    """

    policy: Policy
    outcomes: str = ""
    reject_if: str = ""
    deliver_if: str = ""

    @property
    def needs_body(self) -> bool:
        """Whether answers are judged by their bodies, too."""
        return bool(self.reject_if or self.deliver_if)

    def judge(self, answer: Answer) -> Outcome:
        """Return the outcome of the attempt that got this answer."""
        said = read_outcomes(self.outcomes).get(answer.status) if self.outcomes else None
        outcome = RULES[self.policy].judge(answer) if said is None else said
        if not self.needs_body or not answer.status or outcome not in (Outcome.DELIVERED, Outcome.REJECTED):
            return outcome
        body = parsed_body(answer.body)
        if outcome is Outcome.REJECTED:
            return Outcome.DELIVERED if _is_there(body, self.deliver_if) else outcome
        if _is_there(body, self.reject_if) or (self.deliver_if and not _is_there(body, self.deliver_if)):
            return Outcome.REJECTED
        return outcome

    def reason(self, answer: Answer) -> str:
        """Return why an answer was rejected that its status would have called delivered; empty if it was not so."""
        said = read_outcomes(self.outcomes).get(answer.status)
        if (said or RULES[self.policy].judge(answer)) is not Outcome.DELIVERED:
            return ""
        if self.reject_if and _is_there(parsed_body(answer.body), self.reject_if):
            return f"HTTP {answer.status}, and {self.reject_if} is there"
        return f"HTTP {answer.status}, and {self.deliver_if} is not there"


@lru_cache
def rule_for(policy: str, outcomes: str = "", reject_if: str = "", deliver_if: str = "") -> Rule:
    """Return a run's rule: the policy's own if nobody wrote another."""
    known: Policy = "at-most-once" if policy == "at-most-once" else "at-least-once"
    if not (outcomes or reject_if or deliver_if):
        return RULES[known]
    return WrittenRule(known, outcomes, reject_if, deliver_if)


def parsed_body(body: bytes) -> Any:
    """Return a body's JSON; None if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_there(body: Any, pointer: str) -> bool:
    """Return whether something stands at a pointer that is not empty, false or 0."""
    return bool(pointer) and bool(found_at(body, read_pointer(pointer[1:])))
