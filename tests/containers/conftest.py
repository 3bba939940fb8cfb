"""The tests are collected only if ``tests/containers/run`` starts pytest."""

import os

if "MAILBOX_STORE" not in os.environ:
    collect_ignore_glob = ["test_*.py"]
