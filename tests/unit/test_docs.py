"""What the documents number is numbered once."""

import re

from support.stack import ROOT


def test_the_rules_of_the_protocol_are_numbered_without_a_gap() -> None:
    rules = (ROOT / "docs" / "protocol.md").read_text().partition("## The rules")[2]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", rules, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 9
