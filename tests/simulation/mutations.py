"""Ways to break the protocol on purpose, each by taking one of its rules away. The simulation has to notice each."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from simulation import master_mutations, pace_mutations, quota_mutations, storm_mutations, worker_mutations

Mutation = Callable[[pytest.MonkeyPatch], None]


def _by_name(*mutations: Mutation) -> dict[str, Mutation]:
    return {mutate.__name__: mutate for mutate in mutations}


MUTATIONS = _by_name(
    worker_mutations.no_fencing,
    worker_mutations.ack_before_the_answer,
    master_mutations.ignore_sessions,
    master_mutations.never_return_lost_leases,
    master_mutations.cut_a_remainder_twice,
    master_mutations.confirm_before_the_journal,
    master_mutations.lease_at_once_after_a_restart,
    master_mutations.forget_what_was_leased,
    worker_mutations.hand_out_while_paused,
    master_mutations.report_the_pause_once,
    master_mutations.lease_while_paused,
    master_mutations.forget_the_pause,
    master_mutations.forget_the_reopening,
    master_mutations.take_reopened_letters_for_leased,
    master_mutations.accept_stale_failures,
    master_mutations.call_reopened_letters_unsent,
    worker_mutations.keep_records_in_trouble,
    worker_mutations.ignore_missing_answers,
    master_mutations.accept_reports_of_anyone,
    master_mutations.forget_who_was_leased_what,
    master_mutations.assign_to_unconfirmed_peers,
    worker_mutations.repeat_outcomes_at_the_full_rate,
    worker_mutations.keep_a_lease_when_leaving,
    master_mutations.forget_the_longest_lease,
    master_mutations.begin_anew_by_an_old_hello,
    master_mutations.note_every_time,
    master_mutations.forget_the_times,
    master_mutations.add_up_what_is_told_again,
    worker_mutations.keep_the_last_times,
    master_mutations.keep_rows_that_come_again,
    master_mutations.confirm_rows_before_they_are_written,
    worker_mutations.keep_rows_for_later,
    worker_mutations.never_send_rows_again,
)


# These show in schedules with a pace only.
PACE_MUTATIONS = _by_name(
    pace_mutations.hand_out_before_it_is_due,
    pace_mutations.stamp_before_the_journal,
    pace_mutations.deal_to_the_silent,
    pace_mutations.let_the_schedule_run_in_a_pause,
    pace_mutations.work_off_a_backlog_at_once,
    pace_mutations.forget_the_rate_in_a_break,
    pace_mutations.deal_what_comes_due_to_one,
    pace_mutations.forget_another_rate,
    pace_mutations.move_what_is_dealt,
)


# These show in schedules with a quota only.
QUOTA_MUTATIONS = _by_name(
    quota_mutations.go_on_without_a_probe,
    quota_mutations.probe_with_all_users,
    quota_mutations.keep_a_wait_from_the_others,
    quota_mutations.go_on_sending_until_told,
    quota_mutations.count_what_was_put_off,
    quota_mutations.forget_the_wait,
    quota_mutations.wait_for_a_lost_prober,
    quota_mutations.never_slow_down,
)


# These show in schedules with a storm only.
STORM_MUTATIONS = _by_name(
    storm_mutations.go_on_until_the_master_says_otherwise,
    storm_mutations.keep_a_storm_to_oneself,
    storm_mutations.trip_on_any_rejections,
    storm_mutations.stop_again_for_the_same_reason,
    storm_mutations.forget_the_storm,
)


@contextmanager
def mutated(name: str) -> Iterator[None]:
    """Break the protocol in that way within this block."""
    with pytest.MonkeyPatch.context() as patch:
        (MUTATIONS | PACE_MUTATIONS | QUOTA_MUTATIONS | STORM_MUTATIONS)[name](patch)
        yield
