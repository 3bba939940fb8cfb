"""``list``: for programs, for people and as JSON."""

import json
import os
import pty

from support.commandline import CommandLine


class TestList:
    def test_programs_get_lines_with_tabs(self, shared: CommandLine) -> None:
        """Without a header; --name adds a column with the messages that wait for that mailbox."""
        shared.send("list-me", "hi", sender="list-peer")
        done = shared.run("list", "--name", "list-me")
        rows = {line.split("\t")[0]: line.split("\t")[1:] for line in done.stdout.splitlines()}
        assert rows["list-peer"][1:] == ["0", "1", "no", "-"]
        assert rows["list-me"][1:] == ["1", "0", "no", "-"]
        assert len(shared.run("list").stdout.splitlines()[0].split("\t")) == 5

    def test_json_is_the_list_of_the_daemon(self, shared: CommandLine) -> None:
        """One document."""
        shared.bodies("list-json")
        rows = json.loads(shared.run("list", "--json").stdout)
        assert "list-json" in {row["name"] for row in rows}

    def test_a_terminal_gets_a_table(self, shared: CommandLine) -> None:
        """With a header."""
        shared.bodies("list-table")
        master, slave = pty.openpty()
        child = shared.spawn("list", stdout=slave)
        os.close(slave)
        output = b""
        try:
            while piece := os.read(master, 65536):
                output += piece
        except OSError:  # the other end of a terminal is gone
            pass
        os.close(master)
        assert child.wait() == 0
        assert b"Mailbox" in output
        assert b"Last seen" in output
        assert b"list-table" in output
