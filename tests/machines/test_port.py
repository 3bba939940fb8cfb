"""Who may hold the port, and what a daemon does without it."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from support.commandline import CommandLine, until
from support.daemon import DaemonProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux who holds a port")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
OTHER = 65534
OWN = "127.0.0.3"


@pytest.fixture
def stopped() -> Iterator[DaemonProcess]:
    """A daemon that does not run yet, without settings."""
    process = DaemonProcess()
    yield process
    process.close()


def start_without_port(process: DaemonProcess, port: int) -> None:
    """Start a daemon whose port is taken, and wait for its ready line."""
    process.settings["port"] = port
    child = process.spawn()
    assert child.stdout is not None
    line = child.stdout.readline()
    assert "unix:" in line
    assert f":{port}" not in line


def health(process: DaemonProcess) -> dict[str, object]:
    """Ask the daemon by its socket."""
    path = str(process.home / "mailbox.sock")
    with httpx.Client(transport=httpx.HTTPTransport(uds=path)) as client:
        found: dict[str, object] = client.get("http://localhost/health").json()
    return found


class TestTakenPort:
    def test_the_socket_serves_and_the_port_is_taken_when_it_is_free(
        self, stopped: DaemonProcess
    ) -> None:
        """The health and the log name who holds it."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            start_without_port(stopped, port)
            with CommandLine(stopped) as commandline:
                done = commandline.run("send", "--from", "a", "--to", "b", "--body", "x")
                assert done.returncode == 0
                shown = commandline.run("status").stdout
            assert f"pid {os.getpid()}" in str(health(stopped)["missing"])
            assert f"pid {os.getpid()}" in stopped.log()
            assert "Port" in shown
        until(lambda: "missing" not in health(stopped), "the port")
        assert httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        lock = json.loads((stopped.home / "mailbox.lock").read_text())
        assert f"http://127.0.0.1:{port}" in lock["addresses"]

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_a_connection_that_leaves_from_the_port_is_named(
        self, stopped: DaemonProcess, is_closed: bool
    ) -> None:
        """It may be alive, or one that has ended and is kept by the system for a minute."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            # On an address of its own: other programs use ports of 127.0.0.1 meanwhile.
            client = socket.create_connection(server.getsockname(), source_address=(OWN, 0))
            stopped.settings["bind"] = OWN
            accepted, _ = server.accept()
            port = client.getsockname()[1]
            words = f"pid {os.getpid()}"
            if is_closed:
                client.close()
                accepted.close()
                words = "a connection that has ended"
            start_without_port(stopped, port)
            assert words in str(health(stopped)["missing"])
            with CommandLine(stopped) as commandline:
                checks = json.loads(commandline.run("doctor", "--json").stdout)["checks"]
            finding = next(each for each in checks if each["check"] == "Port")
            assert finding["state"] == "problem"
            assert words in finding["detail"]
            client.close()
            accepted.close()


@as_root
class TestAnotherUser:
    def test_is_refused_on_tcp(self, daemon: DaemonProcess) -> None:
        """The daemon knows whose the connection is, and tells nothing."""
        script = f"""
import os, socket
os.setuid({OTHER})
client = socket.socket()
client.connect(("127.0.0.1", {daemon.port}))
client.sendall(b"GET /health HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
print(client.recv(10000).decode())
"""
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert "403" in done.stdout.splitlines()[0]
        assert "another user" in done.stdout
        assert "dbPath" not in done.stdout
        assert httpx.get(f"{daemon.url}/health").status_code == 200

    def test_that_has_our_port_gets_no_mail_from_us(self, stopped: DaemonProcess) -> None:
        """Not while our daemon runs without TCP, and not when it does not run."""
        taken = socket.create_server(("127.0.0.1", 0))
        with taken:
            port = taken.getsockname()[1]
            stopped.settings["port"] = port
            (stopped.home / "mailbox.json").write_text(json.dumps(stopped.settings))
            with CommandLine(stopped) as commandline:
                send = ("send", "--from", "a", "--to", "b", "--body", "private")
                watch = ("watch", "--block", "--name", "a", "--timeout", "0")
                for arguments in (send, watch, ("check", "--name", "a")):
                    assert commandline.run(*arguments).returncode == 2
                assert commandline.run("status").stdout.split()[0] != "Running"
            taken.setblocking(False)
            with pytest.raises(BlockingIOError):
                taken.accept()


class TestWithoutUnixSocket:
    def test_the_server_on_tcp_must_know_our_secret(self, daemon: DaemonProcess) -> None:
        """Without it, it gets nothing but a question."""
        lock = daemon.home / "mailbox.lock"
        content = json.loads(lock.read_text())
        content["addresses"] = [a for a in content["addresses"] if a.startswith("http:")]
        lock.write_text(json.dumps(content))
        (daemon.home / "mailbox.sock").unlink()
        with CommandLine(daemon) as commandline:
            send = ("send", "--from", "a", "--to", "b", "--body", "x")
            assert commandline.run(*send).returncode == 0
            (daemon.home / "secret").write_bytes(b"another")
            done = commandline.run(*send)
            assert done.returncode in (0, 2)
            if done.returncode:
                assert "is not the daemon of" in done.stderr


class TestBind:
    def test_the_address_that_it_is_bound_to_is_allowed(self, stopped: DaemonProcess) -> None:
        """It is ours, whatever else is."""
        stopped.settings["bind"] = "127.0.0.2"
        stopped.start()
        assert stopped.url.startswith("http://127.0.0.2:")
        assert httpx.get(f"{stopped.url}/health").status_code == 200

    @pytest.mark.parametrize("bind", ["0.0.0.0", "::", "192.0.2.1"])
    def test_an_address_that_others_can_reach_is_refused(
        self, stopped: DaemonProcess, bind: str
    ) -> None:
        """There are no passwords yet."""
        stopped.settings["bind"] = bind
        assert stopped.spawn().wait(30) == 1
        assert "'bind'" in stopped.log()


class TestClientsConfiguration:
    def test_mcp_config_prints_the_port_of_the_running_daemon(self, daemon: DaemonProcess) -> None:
        """It may come from a flag."""
        with CommandLine(daemon) as commandline:
            done = commandline.run("mcp-config", "codex")
            assert f"{daemon.url}/mcp" in done.stdout

    def test_doctor_says_when_clients_look_elsewhere(self, daemon: DaemonProcess) -> None:
        """The plugin takes the address from CLAUDE_MAILBOX_URL, else the default port."""
        with CommandLine(daemon) as commandline:
            wrong = {"CLAUDE_MAILBOX_URL": "http://localhost:9/"}
            for environment in (wrong, {"CLAUDE_PLUGIN_ROOT": "/x"}):
                done = commandline.run("doctor", "--json", environment=environment)
                checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
                assert checks["Clients"]["state"] == "problem"
            right = {"CLAUDE_MAILBOX_URL": daemon.url}
            done = commandline.run("doctor", "--json", environment=right)
            checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
            assert checks["Clients"]["state"] == "ok"
            for value in (f"{daemon.url}/", f"unix:{daemon.home}/mailbox.sock", f" {daemon.url}"):
                done = commandline.run(
                    "doctor", "--json", environment={"CLAUDE_MAILBOX_URL": value}
                )
                checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
                assert checks["Clients"]["state"] == "problem"

    def test_doctor_sees_a_proxy_between_clients_and_daemon(self, daemon: DaemonProcess) -> None:
        """Claude Code sends requests to loopback through it, too."""
        with CommandLine(daemon) as commandline:
            for proxy, exceptions, state in (
                ("HTTP_PROXY", "", "problem"),
                ("http_proxy", "example.com", "problem"),
                ("HTTP_PROXY", "localhost,127.0.0.1", "ok"),
            ):
                variables = {proxy: "http://127.0.0.1:9", "NO_PROXY": exceptions}
                done = commandline.run("doctor", "--json", environment=variables)
                checks = {each["check"]: each for each in json.loads(done.stdout)["checks"]}
                assert checks["Proxy"]["state"] == state
