"""Which process listens on a port: on this system, and with recorded output of others."""

import os
import socket
import sys

import pytest

from claude_mailbox import ports

LSOF = """\
p812
cnginx
f6
n127.0.0.1:8080
f7
n[::1]:8080
p4711
cpython3.12
f3
n*:37849
"""

NETSTAT_GERMAN = """\

Aktive Verbindungen

  Proto  Lokale Adresse         Remoteadresse          Status           PID
  TCP    0.0.0.0:135            0.0.0.0:0              ABHÖREN         1044
  TCP    127.0.0.1:37849        0.0.0.0:0              ABHÖREN         5120
  TCP    127.0.0.1:37849        127.0.0.1:50114        HERGESTELLT     5120
  TCP    127.0.0.1:50114        127.0.0.1:37849        HERGESTELLT     9000
  TCP    [::]:445               [::]:0                 ABHÖREN         4
  UDP    0.0.0.0:5353           *:*                                    2212
"""


def recorded(answers: dict[str, str]) -> ports.CommandOutput:
    """Return a function that answers each program with recorded output."""

    def run(command: list[str]) -> str:
        return answers[command[0]]

    return run


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
class TestLinux:
    def test_names_the_listening_process(self):
        """By its command line and pid."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            who = ports.port_owner("127.0.0.1", server.getsockname()[1])
        assert who is not None
        assert who.endswith(f"(pid {os.getpid()})")
        assert "py" in who

    def test_a_free_port_has_no_owner(self):
        """A port that somebody listened on a moment ago is free."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        assert ports.port_owner("127.0.0.1", port) is None

    def test_a_socket_on_another_address_does_not_count(self):
        """A socket on 127.0.0.2 leaves the port free on 127.0.0.1."""
        with socket.create_server(("127.0.0.2", 0)) as server:
            port = server.getsockname()[1]
            assert ports.port_owner("127.0.0.1", port) is None
            assert ports.port_owner("127.0.0.2", port) is not None

    def test_a_socket_on_all_addresses_counts(self):
        """A socket on 0.0.0.0 has the port of every IPv4 address."""
        with socket.create_server(("0.0.0.0", 0)) as server:
            port = server.getsockname()[1]
            assert ports.port_owner("localhost", port) is not None

    def test_a_dual_stack_socket_counts_for_ipv4(self):
        """A socket on :: that accepts IPv4 has the port of 127.0.0.1."""
        if not socket.has_dualstack_ipv6():
            pytest.skip("this machine has no IPv6")
        with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
            assert ports.port_owner("127.0.0.1", server.getsockname()[1]) is not None

    def test_names_the_process_of_a_connection_that_leaves_from_the_port(self):
        """It keeps others from the port as well."""
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as client,
        ):
            owner = ports.port_owner("127.0.0.1", client.getsockname()[1])
            assert owner is not None
            assert str(os.getpid()) in owner

    def test_names_the_user_when_the_process_is_hidden(self, tmp_path):
        """The kernel shows the user of the socket, if not its process."""
        (tmp_path / "net").mkdir()
        word = (0x7F000001).to_bytes(4, sys.byteorder).hex().upper()
        row = f"   0: {word}:93D9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 77 1\n"
        (tmp_path / "net" / "tcp").write_text(f"  sl  local_address ...\n{row}")
        wanted = ports._addresses("127.0.0.1")
        assert ports._from_proc(str(tmp_path), wanted, 37849) == "a process of user root"


class TestOthers:
    @pytest.mark.parametrize(
        ("host", "port", "expected"),
        [
            ("127.0.0.1", 8080, "nginx (pid 812)"),
            ("::1", 8080, "nginx (pid 812)"),
            ("127.0.0.1", 37849, "python3.12 (pid 4711)"),
            ("127.0.0.2", 8080, None),
            ("127.0.0.1", 80, None),
        ],
    )
    def test_lsof_names_the_process(self, host, port, expected):
        """By the fields for process, command and name."""
        assert (
            ports.port_owner(host, port, run=recorded({"lsof": LSOF}), platform="darwin")
            == expected
        )

    @pytest.mark.parametrize(
        ("port", "listed", "expected"),
        [
            (37849, '"pythonw.exe","5120","Console","1","31.204 K"\r\n', "pythonw.exe (pid 5120)"),
            (445, '"System","4","Services","0","140 K"\r\n', "System (pid 4)"),
            (135, "INFORMATION: Es werden keine Aufgaben ...\r\n", "a process (pid 1044)"),
            (50114, "", None),
            (5353, "", None),
        ],
    )
    def test_netstat_may_speak_another_language(self, port, listed, expected):
        """Windows translates the state of a socket, but not the remote port."""
        run = recorded({"netstat": NETSTAT_GERMAN, "tasklist": listed})
        assert ports.port_owner("127.0.0.1", port, run=run, platform="win32") == expected

    def test_a_missing_program_has_no_output(self):
        """Without lsof there is no error."""
        assert ports.command_output(["/nonexistent/lsof"]) == ""

    def test_an_unknown_host_has_no_owner(self, monkeypatch):
        """A name that does not resolve has no ports."""

        def refuse(*_args: object, **_options: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        run = recorded({"lsof": LSOF})
        assert ports.port_owner("no-such-host", 8080, run=run, platform="darwin") is None
