"""The fast command line does the same as the full one, and imports little."""

import subprocess
import sys
import textwrap

import pytest
import rich_click as click
from hypothesis import given
from hypothesis import strategies as st

from claude_mailbox.cli import app, fast
from support.commandline import CommandLine
from support.daemon import DaemonProcess

# Modules that take milliseconds to import.
SLOW_MODULES = (
    "trio quart mcp httpx hypercorn apsw rich click rich_click json re socket argparse dataclasses"
    " typing enum subprocess pathlib datetime logging contextlib collections functools signal"
)
FREQUENT = {
    "check --hook": ["check", "--hook", "--name", "fast-a"],
    "check --hook --wake": ["check", "--hook", "--wake", "--name", "fast-a"],
    "watch --block": ["watch", "--block", "--name", "fast-b", "--timeout", "0"],
    "peek": ["peek", "--name", "fast-a"],
    "send": ["send", "--from", "fast-a", "--to", "fast-b", "--body", "é"],
    "check": ["check", "--name", "fast-a", "--json"],
}


def full_command(name: str) -> click.Command:
    """Return the command of the full command line for one of the fast one."""
    found = app.cli.get_command(click.Context(app.cli), name.split()[0])
    assert found is not None
    return found


class TestBothCommandLines:
    @pytest.mark.parametrize("name", fast.COMMANDS)
    def test_have_the_same_options(self, name: str) -> None:
        """With the same keywords, so that no option is missing on one side."""
        _, _, options, required = fast.COMMANDS[name]
        full = {
            option: parameter.name
            for parameter in full_command(name).params
            for option in parameter.opts
            if option.startswith("--") and option != "--help"
        }
        ours = {option: key or option.removeprefix("--") for option, (key, _) in options.items()}
        if name.startswith("check"):
            assert ours.items() <= full.items()
        else:
            assert ours == full
        assert {p.name for p in full_command(name).params if p.required} <= set(required)

    def test_check_and_check_hook_have_all_options_of_check(self) -> None:
        """In the full command line they are one command."""
        ours = {**fast.COMMANDS["check"][2], **fast.COMMANDS["check --hook"][2]}
        full = {name for p in full_command("check").params for name in p.opts} - {"--help", "-h"}
        assert set(ours) == full

    @given(st.data())
    def test_understand_arguments_in_the_same_way(self, data: st.DataObject) -> None:
        """What the fast one accepts, the full one accepts with the same values."""
        name = data.draw(st.sampled_from([n for n in fast.COMMANDS if n != "check --hook"]))
        _, _, options, required = fast.COMMANDS[name]
        tokens = [
            *options,
            *(f"{option}=v" for option in options),
            "v",
            "5",
            "-",
            "--",
            "",
            "--name=",
        ]
        arguments = data.draw(st.lists(st.sampled_from(tokens), max_size=8))
        keywords = fast.parse(arguments, options)
        if keywords is None or not all(keyword in keywords for keyword in required):
            return
        with full_command(name).make_context(name, list(arguments)) as context:
            full = {key: value for key, value in context.params.items() if key in keywords}
        assert keywords == full


class TestFind:
    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--help"],
            ["--version"],
            ["list"],
            ["nonsense"],
            ["send", "--help"],
            ["send"],
            ["peek"],
            ["peek", "--name"],
            ["peek", "--name", "a", "--frobnicate"],
            ["peek", "--name", "a", "extra"],
            ["peek", "--name", "a", "--json=yes"],
            ["watch", "--name", "a", "--timeout", "soon"],
            ["check", "--name", "a", "--limit", "1.5"],
            ["check", "--hook", "--json"],
        ],
    )
    def test_leaves_everything_else_to_the_full_command_line(self, arguments: list[str]) -> None:
        """Help, other commands, and all mistakes."""
        assert fast.find(arguments) is None

    def test_leaves_completion_to_the_full_command_line(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The shell asks for it with a variable."""
        monkeypatch.setenv("_CLAUDE_MAILBOX_COMPLETE", "bash_complete")
        assert fast.find(["peek", "--name", "a"]) is None


@pytest.mark.parametrize("arguments", FREQUENT.values(), ids=FREQUENT)
@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_frequent_commands_import_no_slow_modules(
    shared: CommandLine, arguments: list[str], transport: str
) -> None:
    """A hook runs before each prompt, and a script sends many messages."""
    url = shared.process.url if transport == "tcp" else f"unix:{shared.process.socket_path}"
    script = f"""
        import sys
        before = set(sys.modules)
        from claude_mailbox import __main__
        def leave(code):
            slow = sorted((set(sys.modules) - before) & set({SLOW_MODULES!r}.split()))
            sys.stderr.write("imported:" + " ".join(slow))
            sys.exit(code)
        __main__.leave = leave
        sys.argv[1:] = {[*arguments, "--url", url]!r}
        __main__.main()
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(script)],
        env=shared.environment,
        input="{}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 3)
    assert done.stderr == "imported:"


def test_the_process_ends_with_the_exit_code_of_the_command(shared: CommandLine) -> None:
    """Run as a module, and as the console script runs it."""
    script = "from claude_mailbox.__main__ import main; import sys; sys.exit(main())"
    for prefix in (["-m", "claude_mailbox"], ["-c", script]):
        done = subprocess.run(
            [sys.executable, *prefix, "watch", "--name", "fast-c", "--timeout", "0"],
            env=shared.environment,
            check=False,
        )
        assert done.returncode == 3


def test_without_a_daemon_the_error_names_the_socket(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The exit code is 2."""
    process = DaemonProcess()
    try:
        (process.home / "mailbox.sock").touch()
        (process.home / "mailbox.json").write_text('{"port": 9}')
        with CommandLine(process) as commandline:
            done = commandline.run("peek", "--name", "a")
    finally:
        process.close()
    assert done.returncode == 2
    assert f"No daemon answers at unix:{process.home}/mailbox.sock" in done.stderr
