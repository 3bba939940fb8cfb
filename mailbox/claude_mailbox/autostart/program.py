"""What autostart starts: this Python and our module, with flags and environment variables."""

import os
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from claude_mailbox import config, isolation, paths
from claude_mailbox.errors import AutostartError

# Folders whose files are gone when a cache is cleaned.
_CACHE_FOLDERS = ("archive-v0", ".cache", "Cache", "pipx-cache")
# Control characters, lone surrogates, line and paragraph separators.
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class Program:
    """The command of the daemon for a service manager. All paths are absolute.

    Attributes:
        python: path of the interpreter.
        flags: arguments of ``claude-mailbox serve``.
        environment: variables that it needs.
        home: the home folder.
        given: the flags by their key in ``mailbox.json``.
        config_path: the configuration file, or None for the default ones.
    """

    python: str
    flags: tuple[str, ...]
    environment: Mapping[str, str]
    home: str
    given: Mapping[str, object]
    config_path: str | None

    @property
    def arguments(self) -> list[str]:
        """Everything after the interpreter."""
        return [*isolation.python_arguments(), "serve", *self.flags]

    def settings(self) -> config.Config:
        """Return the settings that the daemon is going to use.

        Raises:
            ConfigError: if a flag or the configuration is wrong.
        """
        return config.load(self.given, self.config_path)

    def notes(self) -> list[str]:
        """Return what the user should know about this choice of interpreter."""
        if any(folder in self.python.split(os.sep) for folder in _CACHE_FOLDERS):
            return [
                f"{self.python} is in a cache, and autostart fails when the cache is cleaned:"
                " install the command (uv tool install claude-mailbox) and run"
                " install-autostart again."
            ]
        return []


def current(flags: Mapping[str, object] | None = None, config_path: str | None = None) -> Program:
    """Return the program that runs now, with flags for ``serve``.

    Args:
        flags: values by their key in ``mailbox.json``; None means not given.
        config_path: the configuration file to use instead of the default ones.

    Raises:
        AutostartError: if a path has characters that cannot be written into a service file.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    for key, flag in (("dbPath", "db-path"), ("tlsCert", "tls-cert"), ("tlsKey", "tls-key")):
        if key in given:
            given[key] = paths.absolute(str(given[key]), f"'--{flag}'")
    if config_path is not None:
        config_path = paths.absolute(config_path, "'--config'")
    arguments = []
    for key, value in given.items():
        arguments += [f"--{config.KEYS[key].replace('_', '-')}", str(value)]
    if config_path is not None:
        arguments += ["--config", config_path]
    program = Program(
        python=sys.executable,
        flags=tuple(arguments),
        environment=_environment(),
        home=paths.home(),
        given=given,
        config_path=config_path,
    )
    if not program.python:
        raise AutostartError("This Python does not know its own path: run it by its full path.")
    for text in (program.python, *program.flags, *program.environment.values()):
        _check(text)
    return program


def _environment() -> dict[str, str]:
    if not os.environ.get("CLAUDE_MAILBOX_HOME"):
        return {}
    return {"CLAUDE_MAILBOX_HOME": paths.home()}


def _check(text: str) -> None:
    if any(unicodedata.category(letter) in _FORBIDDEN_CATEGORIES for letter in text):
        raise AutostartError(
            f"{text!r} has a control character or is not valid Unicode, which cannot be written into"
            " a service file: rename the folder or leave the flag out."
        )
