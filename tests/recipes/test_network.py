"""The recipes of docs/network.md, each with the real program that it is about."""

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from docs.pages import DOCS
from support.commandline import CommandLine, until
from support.daemon import DaemonProcess
from support.network import NetworkDaemon, free_port

PAGE = (DOCS / "network.md").read_text()


def program(name: str) -> str:
    """Return the path of a program; skip the test where it is not installed."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def is_open(port: int) -> bool:
    """Return whether somebody listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def running(arguments: Sequence[str], port: int | None = None) -> Iterator[None]:
    """Run a server until the end of the block."""
    with subprocess.Popen(arguments, stdin=subprocess.DEVNULL) as server:
        try:
            if port is not None:
                until(lambda: server.poll() is None and is_open(port), f"{arguments[0]}")
            yield
        finally:
            server.send_signal(signal.SIGTERM)


def block_after(heading: str, language: str) -> str:
    """Return the first block of code under a heading of the page."""
    return PAGE.split(f"\n## {heading}\n")[1].split(f"```{language}\n")[1].split("```")[0]


def is_watched(here: CommandLine, name: str) -> bool:
    """Return whether somebody waits for mail in the mailbox."""
    rows = json.loads(here.run("list", "--json").stdout)
    return any(row["name"] == name and row["watching"] for row in rows)


def nginx(folder: Path, server: str) -> list[str]:
    """Return the command that runs nginx with a ``server`` of the page."""
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {temporary} {server} }}"
    )
    return [program("nginx"), "-e", f"{folder}/error.log", "-c", str(configuration)]


def caddy(folder: Path, site: str) -> list[str]:
    """Return the command that runs Caddy with a site of the page."""
    configuration = folder / "Caddyfile"
    configuration.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    folders = (f"XDG_{kind}_HOME={folder}" for kind in ("DATA", "CONFIG"))
    return ["env", *folders, program("caddy"), "run", "--config", str(configuration)]


@pytest.mark.parametrize(
    ("proxy", "address"), [(nginx, "443"), (caddy, "mail.example")], ids=["nginx", "Caddy"]
)
def test_the_recipe_for_a_proxy_works(
    proxy: Callable[[Path, str], list[str]], address: str, tmp_path: Path
) -> None:
    """It speaks TLS with the clients; a stream flows, and a watcher that leaves is noticed."""
    front = free_port()
    listens = {"443": f"127.0.0.1:{front}", "mail.example": f"https://localhost:{front}"}
    certificates = NetworkDaemon()
    with DaemonProcess({"behindProxy": True}) as process, CommandLine(process) as here:
        server = (
            block_after("Behind a proxy", proxy.__name__)
            .replace(address, listens[address], 1)
            .replace("mail.example", "localhost")
            .replace("/etc/ssl/mail.pem", str(certificates.settings["tlsCert"]))
            .replace("/etc/ssl/mail.key", str(certificates.settings["tlsKey"]))
            .replace("37849", str(process.port))
        )
        token = here.run("token", "create", "--mailbox", "web-*").stdout.strip()
        environment = {
            "CLAUDE_MAILBOX_HOME": str(tmp_path / "home"),
            "CLAUDE_MAILBOX_URL": f"https://localhost:{front}",
            "CLAUDE_MAILBOX_CA": str(certificates.authority),
            "CLAUDE_MAILBOX_TOKEN": token,
        }
        with (
            running(proxy(tmp_path, server), front),
            CommandLine(process, environment) as there,
        ):
            follower = there.spawn("watch", "--follow", "--name", "web-b")
            there.run("send", "--from", "web-a", "--to", "web-b", "--body", "through the proxy")
            assert follower.stdout is not None
            assert follower.stdout.readline().endswith("Mail from web-a: through the proxy\n")
            follower.kill()
            follower.wait()
            watcher = there.spawn("watch", "--block", "--name", "web-c", "--timeout", "60")
            until(lambda: is_watched(here, "web-c"), "a watcher")
            watcher.kill()
            watcher.wait()
            until(lambda: not is_watched(here, "web-c"), "its leave")
            refused = there.run("peek", "--name", "web-b", environment={"CLAUDE_MAILBOX_TOKEN": ""})
            assert "A token is needed" in refused.stderr
    certificates.close()


def test_the_recipe_for_ssh_works(tmp_path: Path) -> None:
    """With a real sshd on loopback; commands on the other side use the daemon as if it were theirs."""
    sshd, ssh, keygen = program("sshd"), program("ssh"), program("ssh-keygen")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd wants an empty folder
    for name in ("host", "user"):
        subprocess.run(
            [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    port = free_port()
    configuration = tmp_path / "sshd_config"
    configuration.write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host\nPidFile none\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nUsePAM no\nPermitRootLogin yes\n"
    )
    with DaemonProcess() as process, running([sshd, "-D", "-f", str(configuration)], port):
        forwarded = process.home.parent / "forwarded.sock"
        command = shlex.split(block_after("Over SSH", "sh").splitlines()[0].partition("#")[0])
        assert command[0] == "ssh"
        arguments = [
            argument.replace("/home/you/.claude-mailbox/mailbox.sock", str(process.socket_path))
            .replace("/tmp/mailbox.sock", str(forwarded))
            .replace("you@mail.example", "127.0.0.1")
            for argument in command[1:]
        ]
        options = [
            *("-F", "none", "-p", str(port), "-i", str(tmp_path / "user"), "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known"),
        ]
        environment = {
            "CLAUDE_MAILBOX_HOME": str(tmp_path / "home"),
            "CLAUDE_MAILBOX_URL": f"unix:{forwarded}",
        }
        with running([ssh, *options, *arguments]), CommandLine(process, environment) as there:
            until(forwarded.exists, "the forwarded socket")
            watcher = there.spawn("watch", "--block", "--name", "b", "--timeout", "60")
            sent = there.run("send", "--from", "a", "--to", "b", "--body", "through ssh")
            assert sent.returncode == 0, sent.stderr
            assert watcher.communicate()[0].endswith("Mail from a: through ssh\n")
            # A watcher that leaves is noticed through the tunnel.
            watcher = there.spawn("watch", "--block", "--name", "b", "--timeout", "60")
            there.wait_until_watched("b")
            watcher.kill()
            watcher.wait()
            there.send("b", "kept")
            assert there.await_bodies("b") == ["kept"]


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_the_recipe_for_a_container_works(tmp_path: Path) -> None:
    """In namespaces of its own, where nothing is seen of the home folder but the socket.

    The session is woken: its bell is in the container, where its companion rings it.
    """
    container = [program("unshare"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if subprocess.run([*container, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces may be made here")
    home, mounted = tmp_path / "home", tmp_path / "socket"
    home.mkdir()
    mounted.touch()
    hook = {"session_id": "c0ffee00-1", "cwd": "/", "hook_event_name": "SessionStart"}
    with DaemonProcess() as process:
        script = (
            f"mount --bind {process.socket_path} {mounted}; mount -t tmpfs none {process.home};"
            " sleep 1000 & export CLAUDE_PID=$!;"
            f" echo '{json.dumps(hook)}' | {sys.executable} -m claude_mailbox session-announce; wait"
        )
        environment = {
            **process.environment,
            "CLAUDE_MAILBOX_HOME": str(home),
            "CLAUDE_MAILBOX_URL": f"unix:{mounted}",
            "CLAUDE_MAILBOX_PREFIX": "box",
        }
        with (
            CommandLine(process) as here,
            subprocess.Popen(
                [*container, "sh", "-c", script],
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
            ) as client,
        ):
            assert client.stdout is not None
            answer = json.loads(client.stdout.readline())["hookSpecificOutput"]
            assert "wakes you" in answer["additionalContext"]
            bell = home / "bells" / "c0ffee00-1"
            assert answer["watchPaths"] == [str(bell)]
            before = bell.read_bytes()

            def is_woken() -> bool:
                sent = here.run(
                    *("send", "--from", "a", "--to", "box-c0ffee00", "--body", "x", "--json")
                )
                return bool(json.loads(sent.stdout)["recipient"]["wakes"])

            until(is_woken, "a companion")
            until(lambda: bell.read_bytes() not in (before, b""), "a ring")
            client.kill()
