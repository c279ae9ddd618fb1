"""Warn about a run that is resumed to another host than before, and say what that means for its keys."""

from traffic.core.record_state import RecordState
from traffic.core.text import count_records
from traffic.runs.history import ResumeError
from traffic.runs.run_metadata import RunMetadata


class OtherHostError(ResumeError):
    """A run is to be resumed to another host, and nobody has confirmed that. `more` says so to programs."""

    def __init__(self, metadata: RunMetadata, host: str, counts: list[int]) -> None:
        self.more = {"other_host": {"run": metadata.run, "before": metadata.host, "asked": host}}
        settled = sum(counts[state] for state in (RecordState.DELIVERED, RecordState.REJECTED, RecordState.IN_DOUBT))
        what = f"run {metadata.run} went to {metadata.host}, and is asked to go on to {host}"
        meaning = (
            f"Another API has seen none of its keys: what the first has stored is not sent to it "
            f"({settled} of {count_records(metadata.records)} are settled), and what is in doubt may be stored by both"
        )
        remedy = f"Leave --host (the form's Host) empty, or set it to {metadata.host}"
        confirm = (
            "if it is the same API at another address, or this is meant: --traffic-other-host (TRAFFIC_OTHER_HOST=yes)"
        )
        super().__init__(f"{what}. {meaning}. {remedy}; {confirm}.")
