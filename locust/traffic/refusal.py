"""Why a run does not start. Each of these tells a person what is wrong and what to do."""

from traffic.core.dataset import DatasetError
from traffic.history import ResumeError
from traffic.intake.schema import SchemaError
from traffic.journal import JournalError
from traffic.settings import SettingsError
from traffic.state import StateError

RefusedError = (SettingsError, DatasetError, SchemaError, StateError, ResumeError, JournalError)
