"""Groups, descriptions and held messages, as commands against a real daemon."""

import json

from claude_mailbox.client.reach.api import Daemon, Identity
from support.commandline import CommandLine


def send(daemon: Daemon, sender: str, to: str) -> dict[str, object]:
    """Send a message; return the receipt."""
    body = {"to": to, "body": "thanks"}
    receipt = daemon.call("POST", "/v1/send", identity=Identity(sender), body=body).value
    assert isinstance(receipt, dict)
    return receipt


def start_session(shared: CommandLine, name: str) -> str:
    """Start a session; return its mailbox."""
    with shared.client() as daemon:
        body = {"sessionId": f"{name}-id", "name": name, "bell": False}
        registered = daemon.call("POST", "/v1/session", body=body).value
        event = {"sessionId": f"{name}-id", "state": "idle"}
        daemon.call("POST", "/v1/session/event", body=event)
    assert isinstance(registered, dict)
    return str(registered["name"])


class TestGroups:
    def test_a_member_gets_mail_until_it_leaves(self, shared: CommandLine) -> None:
        for name in ("g1-a", "g1-b"):
            joined = shared.run("join", "--name", name, "@g1")
            assert joined.returncode == 0, joined.stderr
        assert joined.stdout == "@g1: g1-a, g1-b\n"
        assert "@g1: g1-a, g1-b\n" in shared.run("groups").stdout
        sent = shared.run("send", "--from", "g1-a", "--to", "@g1", "--body", "hello")
        assert (sent.returncode, sent.stderr) == (0, "")
        assert sent.stdout.endswith(" to '@g1': g1-b.\n")
        assert shared.bodies("g1-b") == ["hello"]
        for name in ("g1-a", "g1-b"):
            left = shared.run("leave", "@g1", environment={"CLAUDE_MAILBOX_NAME": name})
        assert left.stdout == "@g1: nobody\n"

    def test_json_is_what_the_daemon_says(self, shared: CommandLine) -> None:
        joined = json.loads(shared.run("join", "--name", "g2-a", "@g2", "--json").stdout)
        assert joined == {"name": "@g2", "kind": "joined", "members": ["g2-a"]}
        assert joined in json.loads(shared.run("groups", "--json").stdout)
        sent = shared.run("send", "--from", "g2-b", "--to", "@g2", "--body", "hello", "--json")
        assert [each["name"] for each in json.loads(sent.stdout)["recipients"]] == ["g2-a"]

    def test_many_members_need_a_confirmation(self, shared: CommandLine) -> None:
        for number in range(6):
            shared.run("join", "--name", f"g3-{number}", "@g3")
        send = ("send", "--from", "g3-me", "--to", "@g3", "--body", "hello")
        refused = shared.run(*send)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "would go to 6 mailboxes" in refused.stderr
        assert shared.run(*send, "--confirm").returncode == 0

    def test_a_wrong_name_is_explained(self, shared: CommandLine) -> None:
        done = shared.run("join", "--name", "g4", "team")
        assert done.returncode == 1
        assert "such as @team" in done.stderr


def test_a_description_is_listed(shared: CommandLine) -> None:
    done = shared.run("describe", "--name", "d1", "the login service")
    assert done.stdout == "'d1' is described: the login service.\n"
    (row,) = [row for row in json.loads(shared.run("list", "--json").stdout) if row["name"] == "d1"]
    assert row["description"] == "the login service"
    assert "the login service" in shared.run("list").stdout
    assert shared.run("describe", "--name", "d1", "").stdout == "'d1' says nothing of itself.\n"


class TestSend:
    def test_suggests_names_for_one_that_nobody_knows(self, shared: CommandLine) -> None:
        name = start_session(shared, "platypus-pond")
        done = shared.run("send", "--from", "a", "--to", "platypus-pont", "--body", "x")
        assert f"nobody has used that mailbox yet: perhaps you mean '{name}'" in done.stdout

    def test_strict_sends_to_known_mailboxes_only(self, shared: CommandLine) -> None:
        done = shared.run("send", "--from", "a", "--to", "echidna", "--body", "x", "--strict")
        assert (done.returncode, done.stdout) == (1, "")
        assert "Nobody has used a mailbox 'echidna'" in done.stderr


class TestHeld:
    def test_the_user_sees_why_and_releases_it(self, own: CommandLine) -> None:
        """In the sender's answer, in the status, and in the list."""
        one, other = start_session(own, "held-one"), start_session(own, "held-other")
        with own.client() as daemon:
            for number in range(40):
                sender, to = (one, other) if number % 2 == 0 else (other, one)
                receipt = send(daemon, sender, to)
        assert receipt["state"] == "held"
        done = own.run("send", "--from", one, "--to", other, "--body", "thanks")
        assert f"to '{other}'. You and '{other}' have exchanged 41 messages" in done.stdout
        status = own.run("status").stdout
        assert f"2 messages between '{one}' and '{other}'" in status
        assert json.loads(own.run("status", "--json").stdout)["held"] == 2
        listed = own.run("held", "list").stdout.splitlines()
        assert listed[0].startswith(f"{receipt['id']} from '{other}' to '{one}', sent at 20")
        assert len(json.loads(own.run("held", "list", "--json").stdout)) == 2
        released = own.run("held", "release", "--name", one)
        assert (released.stdout, released.stderr) == ("2 messages were released.\n", "")
        assert own.run("held", "release").stdout == "0 messages were released.\n"
        assert "held" not in json.loads(own.run("status", "--json").stdout)
