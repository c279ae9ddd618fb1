"""Prepare a run before anything is sent: valid options, an opened file, and a journal, new or resumed."""

import argparse
import secrets
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from gevent.event import AsyncResult
from locust.env import Environment

from traffic.clock import timestamp, wall_ms
from traffic.core.audit_source import AuditSource
from traffic.core.headers import Field
from traffic.core.master.handed_out import HandedOut
from traffic.core.master.pacer import Pacer
from traffic.core.master.run import Run
from traffic.core.master.run_state import RunState
from traffic.core.order import Order
from traffic.core.pace.config import PaceConfig, RecordedPace
from traffic.core.pace.schedule import Schedule
from traffic.core.protocol import RunConfig
from traffic.core.reading import BODIES, PLAIN, REQUESTS
from traffic.core.record_state import RecordState
from traffic.core.text import count_records
from traffic.dataset.dataset import Dataset, DatasetError
from traffic.dataset.time_index import TimeIndex
from traffic.master.active_run import ActiveRun
from traffic.master.audit import audit_headers, count_at
from traffic.master.file_loading import BackgroundLoader
from traffic.master.threads import in_thread
from traffic.master.user_counts import check_options
from traffic.runs.history import ResumeError, ToResume, find_cut_off, find_to_resume, leave_cut_off, recover, replay
from traffic.runs.journal import LEAVE_RUN, Journal, JournalError, JournalWriteError
from traffic.runs.other_host import OtherHostError
from traffic.runs.retention import prune
from traffic.runs.run_metadata import RunMetadata, resumed
from traffic.runs.sent_before import Intended, check_again, leave_stopped
from traffic.runs.state_dir import StateError, StateFolder
from traffic.runs.target import same_host
from traffic.settings import NONE, RUN, Settings, SettingsError, check_variables, read_host

# How many session numbers one master may give out; a resumed run skips as many.
SESSIONS_OF_ONE_MASTER = 1_000_000


@dataclass(frozen=True, slots=True)
class PreparedStart:
    """A start that was checked, and what it opened. `to_resume` is the run to resume; None: a new run.

    A new run delivers `chosen` of the file's records, from index `offset` on. `times` are those of the records, if the
    run follows them. `begun` gets the run that the start
    began, or the error for which it was called off: wait for it to learn what became of the start.
    """

    settings: Settings
    dataset: Dataset
    host: str
    offset: int = 0
    chosen: int = 0
    to_resume: ToResume | None = None
    times: TimeIndex | None = None
    begun: "AsyncResult[ActiveRun]" = field(default_factory=AsyncResult, compare=False, repr=False)

    @property
    def folder(self) -> StateFolder:
        """The state folder."""
        return StateFolder(self.settings.state_dir)

    @property
    def intended(self) -> Intended:
        """The records that a new run would send, and to where."""
        return Intended(self.dataset.digest, self.offset, self.chosen, self.host, self.path)

    @property
    def path(self) -> str:
        """Where the records are sent, perhaps a template; empty if each says that itself."""
        return "" if self.settings.records == REQUESTS else self.settings.path

    @property
    def method(self) -> str:
        """By which method; empty if each record says that itself."""
        return "" if self.settings.records == REQUESTS else self.settings.method

    def close(self) -> None:
        """Close the file and the journal."""
        self.dataset.close()
        if self.to_resume is not None:
            self.to_resume.journal.close()

    def call_off(self, error: BaseException) -> None:
        """Close the file and the journal, and report to whoever waits for `begun` why no run begins."""
        self.close()
        self.begun.set_exception(error)


class RunStarter:
    """Prepares starts, and begins or resumes their runs. RefusedError if a start is not possible."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._prepared: PreparedStart | None = None
        self.loader = BackgroundLoader()

    @property
    def options(self) -> argparse.Namespace:
        """The options as Locust has them."""
        options = self._environment.parsed_options
        assert isinstance(options, argparse.Namespace)
        return options

    @property
    def unattended(self) -> bool:
        """Whether Locust starts its test by itself, without anybody who fills in the form."""
        return self._environment.web_ui is None or bool(self.options.autostart)

    @property
    def host_of_class(self) -> str | None:
        """The API's address that a user class of the locustfile names."""
        return next((user.host for user in self._environment.user_classes if user.host), None)

    def _host(self, options: argparse.Namespace) -> str:
        users = self._environment.user_classes
        unix_sockets = all(getattr(user, "over_unix_sockets", False) for user in users)
        return read_host(options, self.host_of_class, unix_sockets=unix_sockets)

    def check(self, options: argparse.Namespace) -> PreparedStart:
        """Prepare a start: read the options and open the files. The next `claim` returns the same object."""
        check_variables()
        settings = Settings.read(options)
        folder = StateFolder(settings.state_dir)
        folder.prepare()
        self._drop()
        if settings.resume in ("", NONE):
            self._prepared = self._open_new(settings, options)
        else:
            journal = in_thread(find_to_resume, folder, settings.resume, resend=bool(settings.resend))
            self._prepared = self._open_to_resume(settings, options, journal)
        return self._prepared

    def claim(self) -> PreparedStart:
        """Return the prepared start; prepare it now if `check` has not been called."""
        if self._prepared is None:
            self._check_users()
        prepared = self._prepared or self.check(self.options)
        self._prepared = None
        return prepared

    def find_interrupted(self) -> PreparedStart | None:
        """Prepare to resume the run that was cut off, or that the options name. None if there is no such run."""
        if self.unattended:
            check_variables()
        settings = Settings.read(self.options)
        folder = StateFolder(settings.state_dir)
        if self.unattended:
            self._check_users()
        if settings.resume == NONE:
            return None
        if settings.resume:
            resend = bool(settings.resend)
            journal: Journal | None = in_thread(find_to_resume, folder, settings.resume, resend=resend)
        else:
            journal = in_thread(find_cut_off, folder, unattended=self.unattended)
        if journal is None:
            return None
        return self._open_to_resume(settings, self.options if self.unattended else None, journal)

    def begin(self, prepared: PreparedStart, first_session: int) -> ActiveRun:
        """Begin a new run, with its journal."""
        settings, dataset, chosen = prepared.settings, prepared.dataset, prepared.chosen
        pace = settings.pace(chosen)
        config = RunConfig(
            run=_new_run_id(),
            method=prepared.method,
            path=prepared.path,
            wait=settings.wait if pace is None else (0.0, 0.0),
            max_attempts=settings.max_attempts,
            policy=settings.policy,
            timeout=settings.timeout,
            paced=pace is not None,
            catch_up=settings.catch_up,
            holds=settings.retry_after == RUN,
            records=REQUESTS if settings.reading.makes_requests else BODIES,
            outcomes=settings.outcomes,
            reject_if=settings.reject_if,
            deliver_if=settings.deliver_if,
            brake=settings.brake,
            results=settings.results,
            answers=settings.answers,
            answer_size=settings.answer_size,
            keep=settings.keep,
            trace=settings.trace,
        )
        metadata = RunMetadata(
            terms=config,
            file=str(settings.file),
            records=chosen,
            offset=prepared.offset,
            digest=dataset.digest,
            order=settings.order if prepared.times is None else "time",
            seed=settings.seed,
            give_up_s=settings.give_up,
            host=prepared.host,
            started=timestamp(),
            first_session=first_session,
            lease_s=settings.lease,
            pace=pace,
            hold_max_s=settings.hold_max,
            reading=settings.reading,
            stamp=settings.stamp,
            checks=settings.check,
            audit=settings.audit,
            audit_before=self._count_before(prepared.host, settings.audit),
        )
        try:
            if settings.resume == NONE:
                in_thread(leave_cut_off, prepared.folder)
            if settings.resume == NONE or settings.again:
                in_thread(leave_stopped, prepared.folder, prepared.intended)
            journal = in_thread(Journal.create, prepared.folder.journal_path(config.run), metadata)
        except (OSError, JournalWriteError) as error:
            reason = getattr(error, "strerror", None) or error
            what = f"the state folder {str(settings.state_dir.absolute())!r} cannot be written ({reason})"
            remedy = "Name another with --traffic-state-dir, or make room on its disk."
            raise StateError(f"{what}. {remedy}") from error
        ranked = prepared.times.order if prepared.times is not None else None
        run = Run.of(config, dataset, Order(chosen, metadata.seed, metadata.order, prepared.offset, ranked))
        if (schedule := _schedule(metadata, prepared.times)) is not None:
            run.pacer = Pacer(schedule)
        if settings.stamp is not None:
            run.handed_out = HandedOut(settings.stamp, chosen, wall_ms)
        in_thread(prune, prepared.folder, settings.keep_runs, settings.keep_days, config.run)
        return ActiveRun(
            *(run, prepared.dataset, journal, prepared.folder, prepared.times), audit_headers=self._audit_headers
        )

    def resume(self, prepared: PreparedStart, first_session: int) -> ActiveRun:
        """Resume a run. Its sessions are numbered from `metadata.first_session` on."""
        assert prepared.to_resume is not None
        journal, run, reopened = prepared.to_resume.journal, prepared.to_resume.run, prepared.to_resume.reopened
        ended_before = journal.metadata.state != RunState.RUNNING
        first = max(first_session, journal.metadata.first_session + SESSIONS_OF_ONE_MASTER)
        try:
            metadata = resumed(journal.metadata, run.ledger.settled, prepared.host, first, reopened.positions.count)
            longest = max(metadata.lease_s, prepared.settings.lease)
            # How long a stall may last is this master's option, not that of the master before; so are checks, if any.
            metadata = replace(
                metadata,
                give_up_s=prepared.settings.give_up,
                hold_max_s=prepared.settings.hold_max,
                lease_s=longest,
                checks=prepared.settings.check or metadata.checks,
            )
            if metadata.host != journal.metadata.host:
                metadata = replace(metadata, audit_before=self._count_before(metadata.host, metadata.audit))
            in_thread(journal.write, [reopened] if reopened.positions else [], metadata)
        except JournalWriteError as error:
            what = f"the journal {journal.path} cannot be written ({error})"
            raise JournalError(f"{what}. Make room on its disk.") from error
        if (schedule := _schedule(metadata, prepared.times)) is not None:
            run.pacer = Pacer.resumed(schedule, run.ledger.positions(RecordState.PENDING), run.ledger.leased_to)
        return ActiveRun(
            *(run, prepared.dataset, journal, prepared.folder, prepared.times),
            audit_headers=self._audit_headers,
            ended_before=ended_before,
        )

    def _audit_headers(self) -> list[Field]:
        """Return what a request for the API's number of records has to have, by the options as they are now."""
        return audit_headers(self.options)

    def _count_before(self, host: str, source: AuditSource | None) -> int:
        """Return how many records the API has, if it is to be asked. AuditError if it does not say."""
        return 0 if source is None else count_at(host, source, audit_headers(self.options))

    def _check_users(self) -> None:
        if self._environment.shape_class is None:  # a shape says how many users there are
            check_options(self.options)

    def _drop(self) -> None:
        if self._prepared is not None:
            self._prepared.close()
            self._prepared = None

    def _open_new(self, settings: Settings, options: argparse.Namespace) -> PreparedStart:
        host, folder = self._host(options), StateFolder(settings.state_dir)
        if not settings.resume and (cut_off := in_thread(find_cut_off, folder)) is not None:
            cut_off.close()
            raise ResumeError(
                f"run {cut_off.metadata.run} was cut off and is not finished. Go on with it: --traffic-resume last "
                f"(TRAFFIC_RESUME=last), or {LEAVE_RUN}."
            )
        dataset = self.loader.open(settings.file, settings.state_dir, settings.schema, settings.reading)
        try:
            offset, chosen = _choice(settings, dataset)
            _check_pace(settings, chosen)
            times = self._times(settings.pace(chosen), dataset, settings, offset, chosen)
            prepared = PreparedStart(settings, dataset, host, offset, chosen, times=times)
            if not (settings.again or settings.resume):
                in_thread(check_again, folder, prepared.intended)
        except BaseException:
            dataset.close()
            raise
        return prepared

    def _open_to_resume(
        self, settings: Settings, options: argparse.Namespace | None, journal: Journal
    ) -> PreparedStart:
        """Open the run's file: the one that the journal names if there is a form, else the command line's.

        (The form's file is for a new run.) `options` say which host is asked for; None: the run's own.
        """
        file = settings.file if self.unattended else Path(journal.metadata.file)
        dataset = None
        try:
            StateFolder(settings.state_dir).prepare()
            host = journal.metadata.host if options is None else self._host_to_resume(settings, options, journal)
            metadata = journal.metadata
            dataset = self.loader.open(file, settings.state_dir, None, metadata.reading or PLAIN)
            times = self._times(metadata.pace, dataset, settings, metadata.offset, metadata.records)
            ranked = times.order if times is not None else None
            to_resume = in_thread(recover, journal, dataset, ranked, resend=settings.resend)
        except BaseException:
            journal.close()
            if dataset is not None:
                dataset.close()
            raise
        return PreparedStart(settings, dataset, host, to_resume=to_resume, times=times)

    def _times(
        self, pace: PaceConfig | RecordedPace | None, dataset: Dataset, settings: Settings, first: int, count: int
    ) -> TimeIndex | None:
        """Return the times of a run's records; None if it does not follow them, or the file has not as many."""
        if not isinstance(pace, RecordedPace) or first + count > dataset.records:
            return None
        return self.loader.open_times(dataset, settings.state_dir, pace, first, count)

    def _host_to_resume(self, settings: Settings, options: argparse.Namespace, journal: Journal) -> str:
        """Return the run's own host, or another that is asked for. OtherHostError if that was not confirmed."""
        before = journal.metadata.host
        by_class = self.host_of_class if self.unattended else None
        asked = str(getattr(options, "host", None) or by_class or "")
        if not asked.strip() or same_host(asked, before):
            return before
        host = self._host(options)
        if not settings.other_host:
            raise OtherHostError(journal.metadata, host, in_thread(replay, journal).ledger.counts)
        return host


def _choice(settings: Settings, dataset: Dataset) -> tuple[int, int]:
    """Return the index of the first record that a new run delivers, and how many. DatasetError if there are none."""
    left = dataset.records - settings.offset
    if left < 1:
        there = count_records(dataset.records)
        what = f"the file has {there}, and --traffic-offset {settings.offset} leaves out all of them"
        raise DatasetError(settings.file, what, f"Set it to {dataset.records - 1} or less.")
    return settings.offset, left if settings.limit is None else min(left, settings.limit)


def _check_pace(settings: Settings, records: int) -> None:
    """SettingsError if a profile ends, at a rate of 0, before the last record is due."""
    if isinstance(pace := settings.pace(records), PaceConfig):
        try:
            pace.schedule(records, settings.seed)
        except ValueError as error:
            remedy = "Let its last piece end above 0/s, or last longer."
            raise SettingsError(f"--traffic-rate: {error}. {remedy}") from error


def _schedule(metadata: RunMetadata, times: TimeIndex | None) -> Schedule | None:
    """Return the schedule of a run; None if it goes as fast as its users send."""
    if isinstance(metadata.pace, RecordedPace):
        assert times is not None, "a run that follows recorded times has them"
        return metadata.pace.schedule(times.times)
    return None if metadata.pace is None else metadata.pace.schedule(metadata.records, metadata.seed)


def _new_run_id() -> str:
    """Return the time in UTC, to a quarter of a millisecond, and a random part: ids are in the order of their runs."""
    seconds, fraction = divmod(time.time_ns(), 1_000_000_000)
    ordered = (fraction * 4096 // 1_000_000_000) << 12 | secrets.randbits(12)
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(seconds))}-{ordered:06x}"
