"""The fast command line understands what it understands exactly as the full one does."""

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

# What must not be imported before a prompt, or for each message.
HEAVY = (
    "trio quart mcp httpx hypercorn apsw rich click rich_click json re socket argparse dataclasses"
    " typing enum subprocess pathlib datetime logging contextlib collections functools signal"
)
HOT = {
    "check --hook": ["check", "--hook", "--name", "fast-a"],
    "check --hook --wake": ["check", "--hook", "--wake", "--name", "fast-a"],
    "watch --block": ["watch", "--block", "--name", "fast-b", "--timeout", "0"],
    "peek": ["peek", "--name", "fast-a"],
    "send": ["send", "--from", "fast-a", "--to", "fast-b", "--body", "é"],
    "check": ["check", "--name", "fast-a", "--json"],
}


def command(verb: str) -> click.Command:
    """Return the full command line's command for a verb of the fast one."""
    found = app.cli.get_command(click.Context(app.cli), verb.split()[0])
    assert found is not None
    return found


class TestOneImplementation:
    @pytest.mark.parametrize("verb", fast.VERBS)
    def test_both_have_the_same_options(self, verb: str) -> None:
        """By the same keywords; a new option cannot be forgotten on one side."""
        _, _, options, required = fast.VERBS[verb]
        full = {
            name: parameter.name
            for parameter in command(verb).params
            for name in parameter.opts
            if name.startswith("--") and name != "--help"
        }
        ours = {name: keyword or name.removeprefix("--") for name, (keyword, _) in options.items()}
        if verb.startswith("check"):
            assert ours.items() <= full.items()
        else:
            assert ours == full
        must = {p.name for p in command(verb).params if p.required}
        assert must <= set(required)

    def test_between_them_the_two_checks_have_all(self) -> None:
        """`check` and `check --hook` share one command."""
        ours = {**fast.VERBS["check"][2], **fast.VERBS["check --hook"][2]}
        full = {name for p in command("check").params for name in p.opts} - {"--help", "-h"}
        assert set(ours) == full

    @given(st.data())
    def test_both_understand_the_same(self, data: st.DataObject) -> None:
        """Whatever the fast one takes, the full one takes with the same values."""
        verb = data.draw(st.sampled_from([v for v in fast.VERBS if v != "check --hook"]))
        _, _, options, required = fast.VERBS[verb]
        tokens = [*options, *(f"{name}=v" for name in options), "v", "5", "-", "--", "", "--name="]
        arguments = data.draw(st.lists(st.sampled_from(tokens), max_size=8))
        keywords = fast.parse(arguments, options)
        if keywords is None or not all(keyword in keywords for keyword in required):
            return
        with command(verb).make_context(verb, list(arguments)) as context:
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
    def test_leaves_the_rest_to_the_full_one(self, arguments: list[str]) -> None:
        """Help, other commands, and every mistake."""
        assert fast.find(arguments) is None

    def test_completion_is_for_the_full_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The shell asks for it by a variable."""
        monkeypatch.setenv("_CLAUDE_MAILBOX_COMPLETE", "bash_complete")
        assert fast.find(["peek", "--name", "a"]) is None


@pytest.mark.parametrize("arguments", HOT.values(), ids=HOT)
@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_hot_verbs_import_nothing_heavy(
    shared: CommandLine, arguments: list[str], transport: str
) -> None:
    """A hook runs before each prompt: what it imports is counted in milliseconds."""
    url = shared.process.url if transport == "tcp" else f"unix:{shared.process.socket_path}"
    script = f"""
        import sys
        before = set(sys.modules)
        from claude_mailbox import __main__
        def leave(code):
            heavy = sorted((set(sys.modules) - before) & set({HEAVY!r}.split()))
            sys.stderr.write("imported:" + " ".join(heavy))
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


def test_the_process_ends_with_the_verbs_exit_code(shared: CommandLine) -> None:
    """Both ways to run it: as a module and as the console script does."""
    script = "from claude_mailbox.__main__ import main; import sys; sys.exit(main())"
    for prefix in (["-m", "claude_mailbox"], ["-c", script]):
        done = subprocess.run(
            [sys.executable, *prefix, "watch", "--name", "fast-c", "--timeout", "0"],
            env=shared.environment,
            check=False,
        )
        assert done.returncode == 3


def test_without_a_daemon_the_default_place_is_named(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Exit code 2; the sentence says which socket was tried."""
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
