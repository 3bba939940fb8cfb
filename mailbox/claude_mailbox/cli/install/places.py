"""Where clients have their files."""

import os
import sys
from collections.abc import Sequence


def in_home(*parts: str, variable: str | None = None, default: Sequence[str] = ()) -> str:
    """Return a path below the folder that *variable* names, else below *default* in the home."""
    folder = os.environ.get(variable) if variable else None
    return os.path.join(folder or os.path.join(os.path.expanduser("~"), *default), *parts)


def in_config(*parts: str) -> str:
    """Return a path in the user's folder for configuration."""
    return in_home(*parts, variable="XDG_CONFIG_HOME", default=[".config"])


def in_app_data(mac: Sequence[str], other: Sequence[str], windows: Sequence[str]) -> str:
    """Return a path where programs with windows have their settings."""
    if sys.platform == "win32":
        return in_home(*windows, variable="APPDATA", default=["AppData", "Roaming"])
    return in_home(*mac) if sys.platform == "darwin" else in_config(*other)
