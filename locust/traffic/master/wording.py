"""Rewrite a refusal, which is written for a terminal with its options, for the page with its fields and buttons.

Guarded here: what the page shows names its own fields and buttons, and never an option of the command line or a
variable. A value between quotation marks is left as it is.
"""

import re
from collections.abc import Callable

from traffic.settings import BY_NAME, OPTIONS

_IN_FORM = frozenset(option.name for option in OPTIONS if option.in_form)
_QUOTED = re.compile(r"""((?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|(?<!\w)"(?:[^"\\]|\\.)*"(?!\w))""")
_OPTION, _VARIABLE = r"(?<![\w/])--(traffic-[a-z]+(?:-[a-z]+)*)", r"TRAFFIC_[A-Z_]+(?:=[\w.-]*\w)?"
_ID = r"[\w-]*\w"


def label(name: str) -> str:
    """Return the label of the form's field for an option."""
    option = BY_NAME.get(name)
    return option.label if option else name.removeprefix("traffic_").replace("_", " ").capitalize()


def _by_field(in_form: str, elsewhere: str) -> Callable[[re.Match[str]], str]:
    """Choose by whether the page has a field for the option; `{}` is its label."""

    def choose(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        return (in_form if name in _IN_FORM else elsewhere).format(label(name))

    return choose


# Whole phrases first; the last patterns rewrite what is left.
_PHRASES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), rewritten)
    for pattern, rewritten in (
        (r"--traffic-resume no\b", "tick “Leave the run that was cut off” in the form of the Traffic page"),
        (rf"\bwith --traffic-resume {_ID} --traffic-resend {_ID}", "by Send again under Past runs"),
        (rf"\badd --traffic-resend {_ID}", "press Send again under Past runs"),
        (r"--traffic-resume last\b", "press Resume under Past runs"),
        (rf"--traffic-resume {_ID} \({_VARIABLE}\)", "press Resume beside it under Past runs"),
        (rf"Say --traffic-records {_ID} \({_VARIABLE}\)", "Choose requests under What the records are"),
        (rf"--traffic-again \({_VARIABLE}\)", "press Start anew, or set Traffic again to yes in Locust's own form"),
        (rf"--traffic-other-host \({_VARIABLE}\)", "confirm it, or set Traffic other host to yes in Locust's own form"),
        (r"--host \(the form's Host\)", "Host"),
        (
            rf"Set {_OPTION} or {_VARIABLE}(?= \(default)",
            _by_field("Correct it in the form", "Set it when the master is started"),
        ),
        (r"Set --host, LOCUST_HOST or the form's field", "Correct it in the form"),
        (r" \(--host, LOCUST_HOST\)", ""),
        (rf"\bwith {_OPTION}", _by_field("under {}", "when the master is started")),
        (rf"\bleave {_OPTION} out\b", _by_field("leave {} empty", "start the master without it")),
        (rf" \({_VARIABLE}\)", ""),
        (rf"{_OPTION}(?:={_ID})?", _by_field("{}", "{}")),
        (r"TRAFFIC_([A-Z_]+)", lambda found: label(found[1].lower())),
        (r"--host\b", "Host"),
    )
)


def for_page(text: str) -> str:
    """Return the text in the page's words."""
    pieces = _QUOTED.split(text)
    pieces[::2] = map(_rewrite, pieces[::2])
    return "".join(pieces)


def _rewrite(text: str) -> str:
    for pattern, rewritten in _PHRASES:
        text = pattern.sub(rewritten, text)
    return text
