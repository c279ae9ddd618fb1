"""Why a run does not start, or an act on it is not done. Each of these tells a person what is wrong."""

from traffic.dataset.dataset import DatasetError
from traffic.dataset.schema import SchemaError
from traffic.runs.history import ResumeError
from traffic.runs.journal import JournalError
from traffic.runs.state_dir import StateError
from traffic.settings import SettingsError

RefusedError = (SettingsError, DatasetError, SchemaError, StateError, ResumeError, JournalError)


class ActRefusedError(Exception):
    """What a person wants done with the run cannot be done now; the text, one sentence, says why."""
