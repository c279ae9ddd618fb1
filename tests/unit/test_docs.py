"""What the documents number is numbered once."""

import re

import pytest

import traffic
from support.stack import ROOT
from traffic import ownership
from traffic.core import protocol
from traffic.dataset import cache
from traffic.runs import journal


def test_the_rules_of_the_protocol_are_numbered_without_a_gap() -> None:
    rules = (ROOT / "docs" / "protocol.md").read_text().partition("## The rules")[2]
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", rules, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 9


def test_the_page_on_versions_has_the_numbers_of_the_code() -> None:
    page = (ROOT / "docs" / "versions.md").read_text()
    said = dict(re.findall(r"^\| the ([\w ]+) \| ([\d.]+) \|", page, re.MULTILINE))
    assert said == {
        "package": traffic.__version__,
        "protocol": str(protocol.VERSION),
        "journal": str(journal.VERSION),
        "index": cache.MAGIC.decode().split()[-1],
        "state folder": str(ownership.VERSION),
    }


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_files_that_maintainers_are_sent_to_are_there(document: str) -> None:
    package = ROOT / "locust" / "traffic"
    named = re.findall(r"`([a-z_]+/[\w./]*)`", (ROOT / document).read_text())
    assert len(named) > 9
    roots = (ROOT, package, package / "core")
    lost = [one for one in named if not any((root / f"{one}{end}").exists() for root in roots for end in ("", ".py"))]
    assert lost == []
