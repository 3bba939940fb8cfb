"""Settings of the random tests: the same in every run, unless a longer one is asked for.

``MAILBOX_HYPOTHESIS=search`` looks for new examples, for minutes.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "suite",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("search", deadline=None, max_examples=20_000)
settings.load_profile(os.environ.get("MAILBOX_HYPOTHESIS", "suite"))
