"""The input of a hook, which may be anything: a terminal, a silent pipe, or nothing at all."""

import json
import os
import pty
import subprocess

from claude_mailbox.client.hooks import hook_io
from support.commandline import CommandLine


class TestInput:
    def test_a_terminal_is_not_waited_for(self, shared: CommandLine) -> None:
        """A person who runs the command need not type anything."""
        master, slave = pty.openpty()
        child = shared.spawn("check", "--hook", "--name", "i1", stdin=slave)
        assert child.wait() == 0
        os.close(master)
        os.close(slave)

    def test_the_input_need_not_end_after_the_object(self, shared: CommandLine) -> None:
        """The pipe may stay open."""
        shared.send("i2", "{nested}")
        child = shared.spawn("check", "--hook", "--name", "i2", stdin=subprocess.PIPE)
        assert child.stdin is not None
        child.stdin.write('{"hook_event_name": "Stop", "x": {"y": 1}}')
        child.stdin.flush()
        assert child.stdout is not None
        assert json.loads(child.stdout.read())["hookSpecificOutput"]["hookEventName"] == "Stop"

    def test_a_silent_pipe_is_not_waited_for(self, shared: CommandLine) -> None:
        """After a second the mail is printed without knowing the event."""
        shared.send("i3", "hello")
        child = shared.spawn("check", "--hook", "--name", "i3", stdin=subprocess.PIPE)
        assert child.stdout is not None
        assert "  hello\n" in child.stdout.read()

    def test_an_object_may_come_in_pieces(self) -> None:
        """The brace of an inner object does not end it."""
        read, write = os.pipe()
        os.write(write, b'{"a": {"b": 1}')
        os.write(write, b', "c": 2}')
        assert hook_io.read_object(read) == {"a": {"b": 1}, "c": 2}
        os.close(read)
        os.close(write)

    def test_a_closed_input_is_like_an_empty_one(self, shared: CommandLine) -> None:
        """Nothing waits, so nothing is printed."""
        child = shared.spawn("check", "--hook", "--name", "i4", preexec_fn=lambda: os.close(0))
        output, errors = child.communicate()
        assert (child.returncode, output, errors) == (0, "", "")
