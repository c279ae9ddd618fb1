"""Report several faults of one file at once: list the first, count the others."""

from traffic.dataset.diagnosis import DatasetError

MOST_LISTED = 20


class ManyFaultsError(DatasetError):
    """A traffic file with several faults. `listed` has the first of them, `count` is how many there are.

    Record, line and column are the first fault's.
    """

    def __init__(self, listed: list[DatasetError], count: int, *, partial: bool) -> None:
        first = listed[0]
        super().__init__(first.file, first.what, first.remedy, first.record, first.line, first.column)
        self.listed, self.count = tuple(listed), count
        head = f"{first.file} has {'at least ' if partial else ''}{count} faults"
        head += f"; the first {len(listed)}:" if count > len(listed) else ":"
        rest = ["What follows the last could not be checked."] if partial else []
        self.args = ("\n  ".join([head, *(error.without_file for error in listed), *rest]),)


class FaultList:
    """Collects the faults of one file. `partial`: it could not be read to its end."""

    def __init__(self) -> None:
        self.listed: list[DatasetError] = []
        self.count = 0
        self.partial = False

    @property
    def full(self) -> bool:
        """Whether further faults are only counted, so that their places need not be found."""
        return self.count >= MOST_LISTED

    def add(self, error: DatasetError) -> None:
        """Add a fault."""
        if not self.full:
            self.listed.append(error)
        self.count += 1

    def raise_any(self) -> None:
        """Raise DatasetError if there is a fault."""
        if self.count == 1:
            only = self.listed[0]
            remedy = f"{only.remedy} What follows it could not be checked." if self.partial else only.remedy
            raise DatasetError(only.file, only.what, remedy, only.record, only.line, only.column)
        if self.count:
            raise ManyFaultsError(self.listed, self.count, partial=self.partial)
