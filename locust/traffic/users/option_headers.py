"""The headers that the options of this worker add to every request, with those of the header file."""

from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from traffic.clock import now_s
from traffic.core.headers import Field, merged
from traffic.core.outcome import Answer
from traffic.settings.request_options import RequestOptions
from traffic.users.header_file import HeaderFile

if TYPE_CHECKING:
    from locust.env import Environment

REFUSED = "HTTP 401: the API refuses the credentials of the header file"


class OptionHeaders:
    """`version` grows whenever the headers have changed. HeaderFileError if the header file cannot be used."""

    def __init__(self, options: RequestOptions, clock: Callable[[], float]) -> None:
        self._given = options.headers
        self._file = None if options.header_file is None else HeaderFile(options.header_file, clock)

    @property
    def refreshable(self) -> bool:
        """Whether a person can replace the credentials while the run goes."""
        return self._file is not None

    @property
    def version(self) -> int:
        """A number for the headers as they are now."""
        return 0 if self._file is None else self._file.version

    @property
    def fields(self) -> list[Field]:
        """The headers: those of the file take the place of others of their name."""
        return merged(self._given, () if self._file is None else self._file.fields)

    def refresh(self) -> None:
        """Look whether the file has changed, from time to time."""
        if self._file is not None:
            self._file.refresh()

    def refused(self) -> Answer:
        """Return what an answer 401 means: the run waits until the file is replaced."""
        assert self._file is not None, "only credentials from a file can be replaced"
        return Answer(401, REFUSED, retry_after=self._file.wait_after_refusal(), refreshable=True)


_of_runs: "WeakKeyDictionary[Environment, tuple[str, OptionHeaders]]" = WeakKeyDictionary()


def option_headers_of(environment: "Environment", run: str) -> OptionHeaders:
    """Return the headers that this process adds in a run, as the options are when the run is new here."""
    known = _of_runs.get(environment)
    if known is None or known[0] != run:
        known = _of_runs[environment] = run, OptionHeaders(RequestOptions.read(environment.parsed_options), now_s)
    return known[1]
