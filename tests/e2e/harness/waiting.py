"""How long a test waits for something outside of it that announces itself by no event."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 60.0  # seconds after which a test gives up; never a claim about speed
INTERVAL = 0.02

T = TypeVar("T")


def eventually(look: Callable[[], T | None], complaint: Callable[[], str]) -> T:
    """Look again and again, and return what was seen once it is true.

    Raises:
        TimeoutError: if it is not true within `PATIENCE`, with the *complaint*.
    """
    end = time.monotonic() + PATIENCE
    while not (seen := look()):
        if time.monotonic() > end:
            message = f"Waited {PATIENCE:g} s in vain: {complaint()}"
            raise TimeoutError(message)
        time.sleep(INTERVAL)
    return seen
