"""The harness lies beside the package, not in it."""

import sys
from pathlib import Path

# This folder is no package: a package named bench here would hide the harness.
sys.path.insert(0, str(Path(__file__).parents[2]))
