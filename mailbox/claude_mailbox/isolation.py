"""How the daemon is started: apart from the variables and the folder of the process that starts it.

A session's environment belongs to its project. With ``PYTHONPATH`` everybody's daemon would import
the project's modules, and it has no use for anybody's tokens and proxies.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# What the system, its programs and Python need, and what is ours.
_KEPT = frozenset(
    {"HOME", "USER", "LOGNAME", "PATH", "SHELL", "TZ", "TMPDIR", "LANG", "LANGUAGE"}
    | {"XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH", "CLAUDE_MAILBOX_HOME"}
    | {"CLAUDE_MAILBOX_DATABASE"}
    | {"SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP"}
    | {"USERPROFILE", "USERNAME", "HOMEDRIVE", "HOMEPATH", "APPDATA", "LOCALAPPDATA"}
    | {"PROGRAMDATA", "PROGRAMFILES", "PROCESSOR_ARCHITECTURE", "NUMBER_OF_PROCESSORS"}
)
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); import claude_mailbox.__main__ as m; m.main()"
)


def kept_variables(environment: "Mapping[str, str]") -> dict[str, str]:
    """Return those variables that the daemon needs."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _KEPT or name.startswith("LC_")
    }


def python_arguments() -> list[str]:
    """Return the arguments with which Python runs our command in isolation.

    ``-E`` ignores the variables of Python, ``-P`` keeps the working folder off the import path.
    """
    if is_found_by_variable():
        return ["-E", "-P", "-c", _START, _ROOT]
    return ["-E", "-P", "-m", "claude_mailbox"]


def is_found_by_variable() -> bool:
    """Return whether ``PYTHONPATH`` has our package, which may not be installed then."""
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if sys.flags.ignore_environment:
        return _START in sys.orig_argv
    return _ROOT in map(os.path.abspath, filter(None, given))
