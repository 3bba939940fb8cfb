"""Fixtures of the tests of documents, and the way to the harness, which lies beside the package."""

import sys
from pathlib import Path

from support.fixtures import daemon as daemon

sys.path.append(str(Path(__file__).parents[2]))
