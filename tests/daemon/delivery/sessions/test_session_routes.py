"""Sessions over the wire: real daemon, real files, the headers that stand for a session."""

import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.commandline import until
from support.daemon import PATIENCE_SECONDS, DaemonProcess

NEVER = "nobody-has-this-id"
# This process lives as long as the test does; nobody can have the other.
ALIVE, DEAD = str(os.getpid()), "999999999"


class Client:
    """A client of the daemon over TCP, which starts and ends sessions."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.http = httpx.Client(base_url=daemon.url, timeout=PATIENCE_SECONDS)

    def start(self, session_id: str, **fields: object) -> dict[str, Any]:
        """Start a session and return what it is told."""
        content = {"sessionId": session_id, "name": mailbox(session_id), **fields}
        return self.good("POST", "/v1/session", json=content)

    def end(self, session_id: str, **fields: object) -> dict[str, Any]:
        """End a session."""
        return self.good("POST", "/v1/session/end", json={"sessionId": session_id, **fields})

    def send(self, sender: str, to: str, body: str = "hello") -> dict[str, Any]:
        """Send a message."""
        content = {"to": to, "body": body}
        return self.good("POST", "/v1/send", json=content, headers={"X-Mailbox": sender})

    def check(self, **headers: str) -> list[str]:
        """Take what waits for whom the headers name; return the bodies."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        return [mail["body"] for mail in self.good("POST", "/v1/check-inbox", headers=given)]

    def tool(self, name: str, arguments: dict[str, object], **headers: str) -> dict[str, Any]:
        """Call an MCP tool."""
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        call = {"name": name, "arguments": arguments}
        answer = self.good(
            "POST",
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call},
            headers={"Accept": "application/json, text/event-stream", **given},
        )
        return answer["result"]  # type: ignore[no-any-return]

    def good(self, method: str, path: str, **options: Any) -> Any:
        """Return the JSON of an answer, which must be a good one."""
        reply = self.http.request(method, path, **options)
        assert reply.status_code == 200, reply.text
        return reply.json()


def mailbox(session_id: str) -> str:
    """Return the name that a session asks for."""
    return f"shop-{session_id[:8]}"


@pytest.fixture(scope="module")
def shared() -> Iterator[DaemonProcess]:
    """A daemon for all tests that do not disturb each other."""
    with DaemonProcess() as process:
        yield process
        assert process.stop() == 0


Connect = Callable[[DaemonProcess], Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Returns clients of a daemon; they are closed at the end."""
    clients: list[Client] = []

    def create(daemon: DaemonProcess) -> Client:
        client = Client(daemon)
        clients.append(client)
        return client

    yield create
    for client in clients:
        client.http.close()


@pytest.fixture
def client(shared: DaemonProcess, connect: Connect) -> Client:
    """A client of the shared daemon."""
    return connect(shared)


@pytest.fixture
def one() -> str:
    """The id of a session."""
    return str(uuid.uuid4())


@pytest.fixture
def two() -> str:
    """The id of another session."""
    return str(uuid.uuid4())


class TestStart:
    def test_tells_a_session_what_it_needs(
        self, daemon: DaemonProcess, connect: Connect, one: str
    ) -> None:
        """Its name, what waits, the file to watch, and nobody else yet."""
        client = connect(daemon)
        bell = str(daemon.home / "bells" / one)
        assert client.start(one) == {
            "name": mailbox(one),
            "pending": 0,
            "bell": bell,
            "peers": [],
            "morePeers": 0,
        }
        assert Path(bell).exists()

    def test_names_at_most_ten_peers_newest_first(self, client: Client, one: str) -> None:
        """Those who were active in the last hour, without the session itself."""
        for number in range(12):
            client.send(f"peer-{number}", "written-to")
        told = client.start(one)
        names = [peer["name"] for peer in told["peers"]]
        # Several may share a millisecond, so the order is not theirs to tell.
        seen = [peer["lastSeenAt"] for peer in told["peers"]]
        assert len(names) == 10
        # Those who were only written to are in the list, but nobody was seen there.
        assert told["morePeers"] == 2
        assert all(name.startswith("peer-") for name in names)
        assert seen == sorted(seen, reverse=True)

    def test_leaves_one_shot_runs_alone(self, client: Client, one: str) -> None:
        """A session that cannot be woken has no bell."""
        assert client.start(one, bell=False)["bell"] is None

    @pytest.mark.parametrize(
        "fields",
        [
            {"sessionId": ""},
            {"sessionId": 7},
            {"sessionId": "a\nb"},
            {"sessionId": "x" * 201},
            {"name": ""},
            {"name": None},
            {"client": ["7"]},
            {"source": 1},
            {"bell": "yes"},
        ],
    )
    def test_refuses_malformed_requests(
        self, client: Client, one: str, fields: dict[str, object]
    ) -> None:
        """Every bad field is named in a sentence."""
        content = {"sessionId": one, "name": "shop", **fields}
        reply = client.http.post("/v1/session", json=content)
        assert reply.status_code == 400
        assert next(iter(fields)) in reply.json()["error"]


class TestNames:
    def test_a_project_with_a_reserved_name_gets_another_one(self, client: Client) -> None:
        """Its sessions have a mailbox; a name that belongs to the daemon they have not."""
        name = f"claude-mailbox-{uuid.uuid4().hex[:8]}"
        told = client.start(str(uuid.uuid4()), name=name)
        assert told["name"] == name.removeprefix("claude-")

    @pytest.mark.parametrize("name", ["user", "a;b", "@all"])
    def test_a_name_that_no_session_may_have_is_refused(
        self, client: Client, one: str, name: str
    ) -> None:
        """As for every mailbox."""
        reply = client.http.post("/v1/session", json={"sessionId": one, "name": name})
        assert (reply.status_code, reply.json()["reason"]) == (400, "invalid-name")


class TestIdentity:
    def test_by_session(self, client: Client, one: str) -> None:
        """The session's id stands for its mailbox, on every verb."""
        client.start(one)
        client.send("bob", mailbox(one), "to you")
        assert client.check(X_Mailbox_Session=one) == ["to you"]
        renamed = {"to": "frontend"}
        client.good("POST", "/v1/rename", json=renamed, headers={"X-Mailbox-Session": one})
        client.send("bob", "frontend", "still you")
        assert client.check(X_Mailbox_Session=one) == ["still you"]
        assert client.good("GET", f"/v1/session?id={one}")["name"] == "frontend"

    def test_by_client(self, client: Client, one: str) -> None:
        """Tools need not be told who calls: the client's process runs one session."""
        client.start(one, client=ALIVE)
        sent = client.tool("send", {"to": "bob", "body": "hi"}, X_Mailbox_Client=ALIVE)
        assert sent["structuredContent"]["from"] == mailbox(one)
        assert client.good("GET", f"/v1/session?client={ALIVE}") == {
            "sessionId": one,
            "name": mailbox(one),
        }

    def test_cannot_be_another_one(self, client: Client, one: str, two: str) -> None:
        """A session that names a mailbox that is not its own is told which is."""
        client.start(one, client=ALIVE)
        client.start(two)
        arguments = {"from": mailbox(two), "to": "bob", "body": "hi"}
        refused = client.tool("send", arguments, X_Mailbox_Client=ALIVE)
        assert refused["isError"]
        assert mailbox(one) in refused["content"][0]["text"]

    def test_of_an_unknown_session_is_an_error(self, client: Client) -> None:
        """Nobody gets a mailbox by asking for mail."""
        reply = client.http.post("/v1/check-inbox", headers={"X-Mailbox-Session": NEVER})
        assert (reply.status_code, reply.json()["reason"]) == (404, "unknown-session")
        for query in (f"id={NEVER}", f"client={NEVER}"):
            reply = client.http.get(f"/v1/session?{query}")
            assert (reply.status_code, reply.json()["reason"]) == (404, "unknown-session")

    def test_survives_the_daemon(self, daemon: DaemonProcess, connect: Connect, one: str) -> None:
        """After kill -9 it still knows who is who."""
        connect(daemon).start(one, client=ALIVE)
        daemon.restart()
        client = connect(daemon)
        assert client.check(X_Mailbox_Client=ALIVE) == []
        assert client.good("GET", f"/v1/session?id={one}")["name"] == mailbox(one)


class TestEnd:
    def test_removes_mailbox_and_bell(self, client: Client, one: str) -> None:
        """Nothing is left of a session that is through."""
        bell = client.start(one)["bell"]
        assert client.end(one, reason="prompt_input_exit") == {
            "name": mailbox(one),
            "deleted": True,
        }
        assert mailbox(one) not in [row["name"] for row in client.good("GET", "/v1/list")]
        assert not Path(bell).exists()

    def test_hands_on_at_clear(self, client: Client, one: str, two: str) -> None:
        """The next session of the same process has the mailbox, the mail and the tools."""
        first = client.start(one, client=ALIVE)
        client.send("bob", first["name"], "for whoever comes")
        assert client.end(one, reason="clear", client=ALIVE)["deleted"] is False
        second = client.start(two, client=ALIVE, source="clear")
        assert (second["name"], second["pending"]) == (first["name"], 1)
        assert client.check(X_Mailbox_Client=ALIVE) == ["for whoever comes"]
        assert not Path(first["bell"]).exists()

    def test_counts_only_clients_that_live(self, client: Client, one: str, two: str) -> None:
        """A client that was killed does not keep a session open; one that runs does."""
        client.start(one, client=ALIVE)
        client.start(one, client="1")
        assert client.end(one, client=ALIVE)["deleted"] is False
        client.start(one, client=DEAD)
        client.start(two, client="1")
        client.start(one, client=ALIVE)
        assert client.end(one, client=ALIVE)["deleted"] is True

    def test_of_an_unknown_session_is_no_error(self, client: Client) -> None:
        """The plugin may be younger than the session."""
        assert client.end(NEVER) == {"name": None, "deleted": False}


@pytest.fixture
def other_process() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that runs."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def key_of(pid: int) -> str:
    """Return the key of a client's process, with the time of its start."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    return f"{pid}-{stat.rpartition(')')[2].split()[19]}"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere keys have no time of start")
class TestOwner:
    def test_keeps_a_session_as_long_as_it_lives(
        self, client: Client, one: str, other_process: "subprocess.Popen[bytes]"
    ) -> None:
        """Whoever else announces the session gets nothing; when its client was killed he does."""
        owner, other = key_of(other_process.pid), key_of(os.getpid())
        told = client.start(one, client=owner)
        for claims in ({"client": other}, {}):
            content = {"sessionId": one, "name": mailbox(one), **claims}
            reply = client.http.post("/v1/session", json=content)
            assert (reply.status_code, reply.json()["reason"]) == (409, "session-taken")
        assert client.http.get("/v1/session", params={"client": other}).status_code == 404
        assert client.start(one, client=owner, bell=True)["bell"] == told["bell"]
        other_process.kill()  # nobody has asked for its end yet
        assert client.start(one, client=other)["name"] == told["name"]
        assert client.good("GET", f"/v1/session?client={other}")["sessionId"] == one

    def test_hands_a_session_over_when_it_ends(
        self, client: Client, one: str, other_process: "subprocess.Popen[bytes]"
    ) -> None:
        """The next client, which has announced the session already, has waited for that."""
        owner, other = key_of(other_process.pid), key_of(os.getpid())
        with ThreadPoolExecutor() as pool:
            client.start(one, client=owner)
            client.send("bob", mailbox(one))
            start = pool.submit(client.start, one, client=other)
            assert client.end(one, client=owner)["deleted"] is False
            told = start.result()
            assert (told["name"], told["pending"]) == (mailbox(one), 1)
            assert Path(told["bell"]).exists()


class TestOrder:
    @pytest.mark.parametrize("key", [str, key_of])
    def test_a_session_that_goes_on_keeps_its_bell(
        self, client: Client, one: str, key: Callable[[int], str]
    ) -> None:
        """One client ends it at the moment at which another one resumes it."""
        if sys.platform != "linux" and key is key_of:
            pytest.skip("there keys have no time of start")
        first, second = key(os.getpid()), key(os.getppid())
        with ThreadPoolExecutor() as pool:
            for number in range(100):
                client.start(one, client=first)
                ends = pool.submit(client.end, one, client=first)
                bell = client.start(one, client=second)["bell"]
                ends.result()
                assert Path(bell).exists()
                client.send(f"bob-{number}", mailbox(one))  # 60 a minute from each
                assert client.check(X_Mailbox_Session=one) == ["hello"]
                client.end(one, client=second)
                assert not Path(bell).exists()


class TestBell:
    def test_rings_for_mail(self, client: Client, one: str, two: str) -> None:
        """A message writes the session's file; nobody else's is touched."""
        first, second = client.start(one)["bell"], client.start(two)["bell"]
        before, other = Path(first).read_bytes(), Path(second).read_bytes()
        client.send("bob", mailbox(one))
        until(lambda: Path(first).read_bytes() != before, "the ring")
        assert Path(second).read_bytes() == other

    def test_rings_after_a_restart_for_mail_from_before(
        self, daemon: DaemonProcess, connect: Connect, one: str
    ) -> None:
        """A daemon that was killed before it could ring makes up for it."""
        client = connect(daemon)
        bell = Path(client.start(one)["bell"])
        client.send("bob", mailbox(one))
        daemon.kill()
        before = bell.read_bytes()
        daemon.restart()
        until(lambda: bell.read_bytes() != before, "the ring")


class TestSweep:
    def test_spares_sessions_that_are_open(self, connect: Connect, one: str, two: str) -> None:
        """However long a session idles, mail to it must find it as long as its client runs."""
        with DaemonProcess({"deleteAfterMinutes": 1, "sweepIntervalMinutes": 1}) as daemon:
            client = connect(daemon)
            client.start(one, client=ALIVE)
            client.start(two, client=DEAD)
            daemon.stop()
            _let_idle(daemon)
            daemon.start()
            client = connect(daemon)
            until(lambda: len(client.good("GET", "/v1/list")) == 1, "the sweep")
            assert client.good("GET", "/v1/list")[0]["name"] == mailbox(one)


def _let_idle(daemon: DaemonProcess) -> None:
    """Pretend that nobody used any mailbox for two minutes."""
    connection = sqlite3.connect(daemon.database)
    with connection:
        connection.execute("UPDATE mailbox SET last_seen_at = last_seen_at - 120000")
    connection.close()
