"""Write the lists of options in docker-compose.yml and .env.example from the program's table of options.

Each list stands between two marks. An option that a file has outside of its marks, with a value or a text of its own,
is not in the list.
"""

import re
import textwrap
from pathlib import Path

from traffic.settings import OPTIONS

ROOT = Path(__file__).parents[1]

BEGIN, END = "# options, by scripts/option_lists.py", "# end of the options"
WIDTH = 120


def with_list(text: str, lines: list[str]) -> str:
    """Return a file's text with these lines between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the file has no line {BEGIN!r}, or no {END!r} behind it")
    indent = before[before.rfind("\n") + 1 :]
    made = textwrap.indent("\n".join(lines), indent, lambda line: bool(line.strip()))
    return f"{before}{BEGIN}\n{made}\n{indent}{END}{after}"


def by_hand(text: str) -> str:
    """Return a file's text without what stands between its marks."""
    return with_list(text, [])


def for_compose(text: str) -> str:
    """Return docker-compose.yml with the variables that the master gets if .env or the shell sets them."""
    own = set(re.findall(r"^ +(TRAFFIC_[A-Z_]+):", by_hand(text), re.MULTILINE))
    return with_list(text, [f"{option.variable}:" for option in OPTIONS if option.variable not in own])


def for_example(text: str, compose: str) -> str:
    """Return .env.example with a comment and an example of each variable that docker-compose.yml hands on."""
    handed_on = set(re.findall(r"\$\{(TRAFFIC_[A-Z_]+)|^ +(TRAFFIC_[A-Z_]+):$", for_compose(compose), re.MULTILINE))
    own = set(re.findall(r"^# (TRAFFIC_[A-Z_]+)=", by_hand(text), re.MULTILINE))
    lines = []
    for option in OPTIONS:
        if option.variable in {name for pair in handed_on for name in pair} - own:
            comment = textwrap.fill(f"{option.help}.", WIDTH, initial_indent="# ", subsequent_indent="# ")
            lines += ["", comment, f"# {option.variable}={option.example or option.default}"]
    return with_list(text, [*lines, ""])


def main() -> None:
    """Write both lists."""
    compose, example = ROOT / "docker-compose.yml", ROOT / ".env.example"
    compose.write_text(for_compose(compose.read_text(encoding="utf-8")), encoding="utf-8")
    made = for_example(example.read_text(encoding="utf-8"), compose.read_text(encoding="utf-8"))
    example.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
