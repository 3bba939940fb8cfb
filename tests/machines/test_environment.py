"""What the environment of a session must not do to the daemon, and what it must do to the home."""

import io
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import claude_mailbox
from support.commandline import CommandLine, kill_all_in
from support.daemon import PATIENCE_SECONDS, DaemonProcess

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SOURCE = Path(claude_mailbox.__file__).parents[1]
LAUNCHER = SOURCE.parent / "plugin" / "bin" / "claude-mailbox"


@pytest.fixture
def fresh() -> Iterator[CommandLine]:
    """The command line with a home folder without a daemon; what is started there is killed."""
    process = DaemonProcess()
    (process.home / "mailbox.json").write_text('{"port": 0}')
    with CommandLine(process, {"XDG_CONFIG_HOME": str(process.home / "config")}) as commandline:
        try:
            yield commandline
        finally:
            kill_all_in(process.home)
            process.close()


def environment_of(pid: int) -> dict[str, str]:
    """Return the variables with which a process was started."""
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


class TestIsolation:
    @pytest.mark.parametrize("arguments", [("start",), ("session-announce",)])
    def test_modules_and_variables_of_a_project_do_not_reach_the_daemon(
        self, fresh: CommandLine, tmp_path: Path, arguments: tuple[str, ...]
    ) -> None:
        """Not by the command, nor by the hook of a session's start."""
        (tmp_path / "trio.py").write_text("raise SystemExit('the module of a project')")
        (tmp_path / "mcp").mkdir()
        (tmp_path / "mcp" / "__init__.py").write_text("raise SystemExit('their mcp')")
        foreign = {
            "PYTHONPATH": f"{tmp_path}:{SOURCE}",
            "PYTHONSTARTUP": str(tmp_path / "trio.py"),
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "GITHUB_TOKEN": "secret",
            "ANTHROPIC_API_KEY": "secret",
        }
        hook = json.dumps({"session_id": "0" * 8, "hook_event_name": "SessionStart"})
        done = fresh.run(*arguments, text=hook, environment=foreign)
        assert done.returncode == 0, done.stderr
        assert "No mail in this session" not in done.stdout
        pid = json.loads(fresh.run("status", "--json").stdout)["pid"]
        assert not set(environment_of(pid)) & set(foreign)

    def test_the_daemon_forgets_variables_however_it_is_started(self) -> None:
        """A service manager has variables of its own; programs that the daemon runs get none."""
        with DaemonProcess(environment={"GITHUB_TOKEN": "secret"}) as process:
            script = "import os; from claude_mailbox import isolation as i;"
            script += "print(sorted(i.kept_variables(os.environ)))"
            done = subprocess.run(
                [sys.executable, "-c", script],
                env=process.environment,
                capture_output=True,
                text=True,
                check=True,
            )
        assert "GITHUB_TOKEN" not in done.stdout
        assert "CLAUDE_MAILBOX_HOME" in done.stdout


class TestHomeFolder:
    def test_a_tilde_is_expanded(self, fresh: CommandLine, tmp_path: Path) -> None:
        """Claude Code's settings set variables without a shell."""
        variables = {"HOME": str(tmp_path), "CLAUDE_MAILBOX_HOME": "~/mail"}
        (tmp_path / "mail").mkdir()
        (tmp_path / "mail" / "mailbox.json").write_text('{"port": 0, "dbPath": "data.db"}')
        try:
            done = fresh.run("start", "--json", environment=variables)
            assert json.loads(done.stdout)["dbPath"] == str(tmp_path / "mail" / "data.db")
            assert (tmp_path / "mail" / "data.db").exists()
            launched = subprocess.run(
                ["sh", LAUNCHER, "client-headers"],
                env={"PATH": "/usr/bin:/bin", "CLAUDE_PID": "1", **variables},
                capture_output=True,
                text=True,
                check=True,
            )
        finally:
            fresh.run("stop", environment=variables)
        if (tmp_path / "mail" / "command").exists():
            assert "X-Mailbox-Client" in launched.stdout
        assert not Path("~").exists()

    @pytest.mark.parametrize("arguments", [("status",), ("start",), ("check", "--name", "a")])
    def test_a_relative_path_is_refused(
        self, fresh: CommandLine, arguments: tuple[str, ...]
    ) -> None:
        """Otherwise each folder would have mail of its own."""
        done = fresh.run(*arguments, environment={"CLAUDE_MAILBOX_HOME": "mail"})
        assert done.returncode == 1
        assert done.stderr.startswith("Error: CLAUDE_MAILBOX_HOME must be an absolute path")
        assert not Path("mail").exists()

    def test_a_hook_says_so_and_does_not_fail(self, fresh: CommandLine) -> None:
        """A prompt must not fail."""
        for verb in (("session-announce",), ("check", "--hook"), ("session-rearm",)):
            hook = json.dumps({"session_id": "abc", "hook_event_name": "UserPromptSubmit"})
            done = fresh.run(*verb, text=hook, environment={"CLAUDE_MAILBOX_HOME": "mail"})
            assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("option", ["--db-path", "--config"])
    def test_a_relative_path_on_the_command_line_is_refused(
        self, fresh: CommandLine, option: str
    ) -> None:
        """The daemon outlives the folder in which it was started."""
        done = fresh.run("serve", option, "mail.x")
        assert done.returncode == 1
        assert f"'{option}' must be an absolute path" in done.stderr


class TestStandardInput:
    @pytest.mark.parametrize(
        "data",
        [
            "\ufeffgrüße\r\n".encode(),
            "grüße\r\n".encode("utf-16"),
            b"\xfe\xff" + "grüße\r\n".encode("utf-16-be"),
            "grüße\n".encode(),
        ],
    )
    def test_a_body_may_have_a_byte_order_mark(self, daemon: DaemonProcess, data: bytes) -> None:
        """PowerShell sends UTF-8 and UTF-16 with one."""
        command = [sys.executable, "-m", "claude_mailbox"]
        send = [*command, "send", "--from", "a", "--to", "b", "--body", "-"]
        subprocess.run(send, input=data, env=daemon.environment, check=True, capture_output=True)
        with CommandLine(daemon) as commandline:
            assert commandline.bodies("b") == ["grüße"]

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_a_hook_may_have_one(self, daemon: DaemonProcess, encoding: str) -> None:
        """The session is registered."""
        text = '{"session_id": "abcdef01", "hook_event_name": "SessionStart", "cwd": "/"}\r\n'
        done = subprocess.run(
            [sys.executable, "-m", "claude_mailbox", "session-announce"],
            input=text.encode(encoding),
            env=daemon.environment,
            check=True,
            capture_output=True,
        )
        assert b"abcdef01" in done.stdout

    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_mcp_stdio_may_have_one(self, daemon: DaemonProcess, encoding: str) -> None:
        """The first line is a request like any other."""
        request = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        done = subprocess.run(
            [sys.executable, "-m", "claude_mailbox", "mcp-stdio"],
            input=f"{json.dumps(request)}\r\n".encode(encoding),
            env=daemon.environment,
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        assert json.loads(done.stdout)["id"] == 1

    @pytest.mark.parametrize(("mark", "factor"), [(b"", 1), (b"\xff\xfe", 2)])
    def test_no_more_of_a_body_is_read_than_the_daemon_takes(
        self, mark: bytes, factor: int
    ) -> None:
        """The limit of its configuration counts; in UTF-16 a message has twice the bytes."""
        with (
            DaemonProcess({"maxBodyBytes": 1024}) as process,
            CommandLine(process) as commandline,
            tempfile.TemporaryFile() as file,
        ):
            file.write(mark + b"a\0" * 10**6)
            file.seek(0)
            send = ("send", "--from", "a", "--to", "b", "--body", "-")
            child = subprocess.Popen(
                [sys.executable, "-u", "-m", "claude_mailbox", *send],
                stdin=file,
                env=commandline.environment,
                stderr=subprocess.PIPE,
                text=True,
            )
            _, errors = child.communicate()
            assert child.returncode == 1
            assert "Standard input has more than 1024 bytes" in errors
            # A buffered reader reads in blocks.
            assert file.tell() <= 1024 * factor + io.DEFAULT_BUFFER_SIZE * 2

    def test_a_body_may_be_as_long_as_the_daemon_takes(self) -> None:
        with DaemonProcess({"maxBodyBytes": 1024}) as process, CommandLine(process) as commandline:
            text = "a" * 1024
            for data in (text, f"\ufeff{text}\r\n"):
                done = commandline.run("send", "--from", "a", "--to", "b", "--body", "-", text=data)
                assert (done.returncode, done.stderr) == (0, "")
            assert commandline.bodies("b") == [text, text]


class TestPlugin:
    def test_the_launcher_needs_no_x_bit_and_takes_any_folder(self, tmp_path: Path) -> None:
        """As the hooks and the headers helper run it."""
        folder = tmp_path / "a \"b\" $HOME 'c'"
        folder.mkdir()
        (folder / "bin").mkdir()
        (folder / "bin" / "claude-mailbox").write_bytes(LAUNCHER.read_bytes())
        plugin = LAUNCHER.parents[1]
        helper = json.loads((plugin / ".mcp.json").read_text())["mcpServers"]["mailbox"]
        hooks = json.loads((plugin / "hooks" / "hooks.json").read_text())["hooks"]
        commands = [helper["headersHelper"], hooks["SessionEnd"][0]["hooks"][0]["command"]]
        for command in commands:
            done = subprocess.run(
                ["sh", "-c", command],
                env={"PATH": "/usr/bin:/bin", "CLAUDE_PLUGIN_ROOT": str(folder)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
        # Claude Code puts the folder into the text of a helper that has this; a quote would end it.
        assert "${" not in helper["headersHelper"]


# Refuses a system call with an error number: a sandbox, or a file system without locks.
REFUSE = """
import ctypes, os, struct, sys
number, error, argument = map(int, sys.argv[1:4])
code = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, argument),
        (0x06, 0, 0, 0x00050000 | error), (0x06, 0, 0, 0x7fff0000)]
if argument < 0:
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | error),
            (0x06, 0, 0, 0x7fff0000)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
wanted = Program(len(code), ctypes.addressof(program))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(wanted)) == 0, ctypes.get_errno()
os.execv(sys.argv[4], sys.argv[4:])
"""
SOCKET, FLOCK = 41, 73
EPERM, ENOSYS, ENOLCK, EOPNOTSUPP = 1, 38, 37, 95
on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of system calls")


def without(call: int, error: int, argument: int = -1) -> list[str]:
    """Return the command that runs our Python without a system call."""
    return [sys.executable, "-c", REFUSE, str(call), str(error), str(argument), sys.executable]


@on_x86_64
class TestSandbox:
    def test_without_unix_sockets_commands_use_tcp(self, daemon: DaemonProcess) -> None:
        """The server proves that it is ours."""
        for arguments in (("send", "--from", "a", "--to", "b", "--body", "x"), ("status",)):
            done = subprocess.run(
                [*without(SOCKET, EPERM, socket.AF_UNIX), "-m", "claude_mailbox", *arguments],
                env=daemon.environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
        with CommandLine(daemon) as commandline:
            assert commandline.bodies("b") == ["x"]

    def test_without_sockets_it_is_one_sentence(self, daemon: DaemonProcess) -> None:
        """No traceback, and exit code 2."""
        done = subprocess.run(
            [*without(SOCKET, EPERM), "-m", "claude_mailbox", "peek", "--name", "a"],
            env=daemon.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize("error", [ENOSYS, ENOLCK, EOPNOTSUPP])
    def test_a_file_system_without_locks_is_not_taken_for_another_daemon(self, error: int) -> None:
        """The sentence says what is missing."""
        process = DaemonProcess(
            command=[*without(FLOCK, error), "-m", "claude_mailbox"],
        )
        try:
            assert process.spawn().wait(PATIENCE_SECONDS) == 1
            assert "has no file locks" in process.log()
            assert "Another claude-mailbox daemon" not in process.log()
        finally:
            process.close()
