"""Waiting for something that has no event to wait for."""

import time
from collections.abc import Callable
from typing import TypeVar

TIMEOUT = 60.0  # seconds after which a test fails; no promise about speed
INTERVAL = 0.02

T = TypeVar("T")


def eventually(condition: Callable[[], T | None], problem: Callable[[], str]) -> T:
    """Wait until *condition* returns something true, and return that.

    Raises:
        TimeoutError: if it does not within `TIMEOUT`; the message has the *problem*.
    """
    end = time.monotonic() + TIMEOUT
    while not (result := condition()):
        if time.monotonic() > end:
            message = f"Waited {TIMEOUT:g} s in vain: {problem()}"
            raise TimeoutError(message)
        time.sleep(INTERVAL)
    return result
