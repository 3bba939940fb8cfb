"""What can go wrong in a run."""


class BenchError(Exception):
    """The run cannot go on; the sentence says what to do."""
