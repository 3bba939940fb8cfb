"""Starts and stops of a daemon for other machines."""

import socket
import subprocess
import time
from pathlib import Path

import pytest

from support.daemon import PATIENCE_SECONDS, DaemonProcess
from support.network import NetworkDaemon
from wire.connection import Connection


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bind", "0.0.0.0"], "--tls-cert and --tls-key"),
        (["--tls-cert", "x"], "TLS needs both"),
        (["--tls-cert", "/nothing", "--tls-key", "/nothing"], "No such file"),
    ],
)
def test_it_does_not_start_half_protected(arguments: list[str], sentence: str) -> None:
    """It says what is missing, and makes no database."""
    process = DaemonProcess(arguments=arguments)
    try:
        process.spawn()
        assert process.wait() == 1
        assert sentence in process.log()
        assert not process.database.exists()
    finally:
        process.close()


def test_a_key_that_does_not_fit_the_certificate_is_refused(tmp_path: Path) -> None:
    """Is told at the start, not to each client."""
    one, other = NetworkDaemon(), NetworkDaemon()
    try:
        one.settings["tlsKey"] = other.settings["tlsKey"]
        one.spawn()
        assert one.wait() == 1
        assert "its own key" in one.log()
    finally:
        one.close()
        other.close()


def test_behind_a_proxy_it_listens_everywhere_and_wants_tokens() -> None:
    """Without TLS, which is the proxy's part."""
    settings = {"behindProxy": True, "bind": "0.0.0.0"}
    with DaemonProcess(settings) as process:
        assert process.url.startswith("http://0.0.0.0:")
        with Connection(("127.0.0.1", process.port)) as connection:
            connection.request("GET", "/health").error(401, "unauthorized")


def test_behind_a_proxy_wrong_tokens_lock_out_one_client_only() -> None:
    """Wrong tokens of one client do not lock another one out."""
    with DaemonProcess({"behindProxy": True}) as process:
        statuses = []
        for address in ["6.6.6.6, 192.0.2.1"] * 11 + ["192.0.2.1, 192.0.2.2"]:
            headers = {"Authorization": "Bearer x", "X-Forwarded-For": address}
            with Connection(("127.0.0.1", process.port)) as connection:
                statuses.append(connection.request("GET", "/health", headers=headers).status)
        assert statuses == [401] * 10 + [429, 401]


@pytest.mark.parametrize("is_reading", [True, False])
def test_it_stops_whatever_its_clients_do(is_reading: bool) -> None:
    """A watch is told, and who takes no bytes is cut off; what it was to get goes back."""
    body = "x" * 6_000_000
    with NetworkDaemon({"maxBodyBytes": len(body)}) as process:
        with Connection(process.tls_address()) as sender:
            sender.request("POST", "/v1/send", "a", content={"to": "b", "body": body})
        with Connection(process.tls_address(), receive_buffer=4096) as client:
            if is_reading:
                client.start("GET", "/v1/watch?name=c&timeout=60", "c")
            else:
                client.start("POST", "/v1/check-inbox?name=b", "b")
                client.read_head()
            with Connection(process.socket_path or "") as local:
                while is_reading and not local.request("GET", "/health").json()["waiters"]:
                    pass
            began = time.monotonic()
            assert process.stop() == 0
            assert time.monotonic() - began < PATIENCE_SECONDS / 2
            if is_reading:
                client.read().error(503, "shutting-down")
        process.start()
        with Connection(process.tls_address()) as client:
            assert client.request("GET", "/v1/peek?name=b").json()["pending"] == 1


def test_local_port_serves_this_machine_without_tokens() -> None:
    """Without TLS and tokens, as ever."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with NetworkDaemon({"localPort": port}) as process:
        assert process.url == f"http://127.0.0.1:{port}"
        with Connection(("127.0.0.1", port)) as connection:
            addresses = connection.request("GET", "/health").json()["addresses"]
        assert [address.partition(":")[0] for address in addresses] == ["http", "https", "unix"]


def test_curl_speaks_http_2_with_it() -> None:
    """As the world's clients do."""
    try:
        subprocess.run(["curl", "--version"], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("curl is not installed")
    with NetworkDaemon() as process:
        done = subprocess.run(
            [
                *("curl", "--silent", "--http2", "--cacert", str(process.authority)),
                *("--header", f"Authorization: Bearer {process.token}"),
                *("--write-out", "%{http_version}", "--output", "/dev/null"),
                f"https://localhost:{process.port}/health",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "2"
