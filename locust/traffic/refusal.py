"""Why a run does not start, or an act on it is not done. Each of these tells a person what is wrong."""

from traffic.core.dataset import DatasetError
from traffic.history import ResumeError
from traffic.intake.schema import SchemaError
from traffic.journal import JournalError
from traffic.settings import SettingsError
from traffic.state import StateError

RefusedError = (SettingsError, DatasetError, SchemaError, StateError, ResumeError, JournalError)


class ActRefusedError(Exception):
    """What a person wants done with the run cannot be done now; the text, one sentence, says why."""
