"""What ends a command, besides a failed call."""

__all__ = ["DamagedFile", "ExportProblem", "Problem", "UsageProblem"]


class Problem(Exception):  # noqa: N818 - its text is for the user of the command line
    """Something that ends the command with exit code 1; `str()` is one line that says what to do."""


class ExportProblem(Problem):
    """An export that cannot start, continue or be published safely."""


class DamagedFile(Exception):  # noqa: N818 - a state of the user's files, not a defect
    """A file that does not hold what an export writes; `str()` says where and how, beginning in lower case."""


class UsageProblem(Exception):  # noqa: N818 - it is the user's, not ours
    """Options that do not go together, or a file that cannot be used; exit code 2."""
