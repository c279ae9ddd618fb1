"""One option: its names, its default, its texts, and the reader of its value."""

from collections.abc import Callable
from dataclasses import dataclass

from traffic.errors import RefusedError
from traffic.settings.readers import BadValueError


class SettingsError(RefusedError):
    """One or more options that cannot be used; the text names each with its value, the rule and a remedy."""


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the command line, which is an environment variable and may be a field of the web form, too.

    `read` turns the text of a value into what `Settings` holds, or raises BadValueError. An empty text means `default`.
    """

    name: str
    default: str
    help: str
    read: Callable[[str], object]
    in_form: bool = False
    # What the web form offers; None: any text.
    choices: tuple[str, ...] | None = None
    # What the flag means if no value follows it; None: a value is required.
    bare: str | None = None
    # What the page calls the field; empty: the option's name in words.
    called: str = ""
    # A value for .env.example; empty: the default.
    example: str = ""
    # Whether the flag may be given several times; each value is a line of the option's text.
    many: bool = False

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return self.name.upper()

    @property
    def field(self) -> str:
        """The name in `Settings`."""
        return self.name.removeprefix("traffic_")

    @property
    def label(self) -> str:
        """The name on the Traffic page."""
        return self.called or self.field.replace("_", " ").capitalize()

    def text(self, given: object) -> str:
        """Return the text of a given value, or the default if there is none."""
        return ("" if given is None else str(given).strip()) or self.default

    def value(self, given: object) -> object:
        """Read a given value. SettingsError if it cannot be used."""
        text = self.text(given)
        try:
            return self.read(text)
        except BadValueError as error:
            remedy = f"Set {self.flag} or {self.variable} (default: {self.default or 'empty'})"
            raise SettingsError(f"{self.flag} {error}, not {text!r}. {remedy}.") from error
