"""Which addresses of the daemon are tried."""

from pathlib import Path

import pytest

from claude_mailbox import paths
from claude_mailbox.client.reach.address import (
    Address,
    configured_tcp,
    explicit_address,
    is_own_daemon,
    own_socket,
    parse_url,
)
from claude_mailbox.errors import ConfigError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home folder."""
    monkeypatch.delenv("CLAUDE_MAILBOX_URL", raising=False)
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(tmp_path))
    # The paths of pytest can be too long for a Unix socket. No test here opens one.
    monkeypatch.setattr(paths, "SOCKET_PATH_LIMIT", 1000)
    return tmp_path


class TestParseUrl:
    @pytest.mark.parametrize(
        ("url", "text", "authority"),
        [
            ("http://127.0.0.1:37849", "http://127.0.0.1:37849", "127.0.0.1:37849"),
            ("http://localhost:1/", "http://localhost:1", "localhost:1"),
            ("HTTP://localhost", "http://localhost:80", "localhost:80"),
            (" http://[::1]:8080 ", "http://[::1]:8080", "[::1]:8080"),
            ("http://[::1]", "http://[::1]:80", "[::1]:80"),
            ("unix:/tmp/x.sock", "unix:/tmp/x.sock", "localhost"),
            ("unix:///tmp/x.sock", "unix:/tmp/x.sock", "localhost"),
            ("https://mail.example", "https://mail.example:443", "mail.example:443"),
            ("HTTPS://mail.example:1/", "https://mail.example:1", "mail.example:1"),
        ],
    )
    def test_accepts_http_and_unix_urls(self, url: str, text: str, authority: str) -> None:
        """The port, a final slash and the two slashes of unix: are optional."""
        address = parse_url(url)
        assert (text, authority) == (str(address), address.authority)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "127.0.0.1:37849",
            "http:127.0.0.1",
            "http://",
            "http://host:port",
            "http://host:0",
            "http://host:65536",
            "http://host:",
            "http://:80",
            "http://host:80/mcp",
            "http://host:80?x=1",
            "http://user@host:80",
            "http://host:80#x",
            "http://[::1:80",
            "http://[::1]80",
            "http://host:1²",
            "http://ho st:80",
            "http://host:80\r\nX: y",
            "unix:relative.sock",
            "unix:",
        ],
    )
    def test_refuses_other_urls(self, url: str) -> None:
        """The error shows the two forms that are accepted."""
        with pytest.raises(ConfigError, match="http://HOST:PORT or unix:/PATH"):
            parse_url(url)


class TestOwnDaemon:
    def test_a_given_url_overrides_the_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not our own daemon's address then."""
        monkeypatch.setenv("CLAUDE_MAILBOX_URL", "http://127.0.0.1:2/")
        assert str(explicit_address("http://127.0.0.1:1")) == "http://127.0.0.1:1"
        assert str(explicit_address(None)) == "http://127.0.0.1:2"
        assert not is_own_daemon()

    @pytest.mark.parametrize("value", ["", " ", "http://localhost:37849/"])
    def test_an_empty_variable_or_our_own_port_means_our_own_daemon(
        self, monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        """It is reached by the socket then."""
        monkeypatch.setenv("CLAUDE_MAILBOX_URL", value)
        assert is_own_daemon()

    def test_is_reached_by_the_socket_where_there_can_be_one(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A path may be too long for a socket."""
        assert str(own_socket()) == f"unix:{home}/mailbox.sock"
        monkeypatch.setattr(paths, "SOCKET_PATH_LIMIT", 5)
        assert own_socket() is None


class TestConfiguredTcp:
    @pytest.mark.parametrize(
        ("content", "text"),
        [
            ('{"port": 4000}', "http://127.0.0.1:4000"),
            ('{"port": 4000, "bind": "0.0.0.0"}', "http://127.0.0.1:4000"),
            ('{"bind": "::"}', "http://[::1]:37849"),
            ('\ufeff{"bind": "127.0.0.2"}', "http://127.0.0.2:37849"),
            ('{"dbPath": "/x"}', "http://127.0.0.1:37849"),
        ],
    )
    def test_comes_from_mailbox_json(self, home: Path, content: str, text: str) -> None:
        """A daemon that listens on all addresses is reached on loopback."""
        (home / "mailbox.json").write_text(content, encoding="utf-8")
        assert text == str(configured_tcp())

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("{", "not valid JSON"),
            ("[]", "one JSON object"),
            ('{"port": "4000"}', "'port'"),
            ('{"port": true}', "'port'"),
            ('{"port": 70000}', "'port'"),
            ('{"bind": 1}', "'bind'"),
            ('{"bind": ""}', "'bind'"),
        ],
    )
    def test_a_broken_configuration_is_an_error(self, home: Path, content: str, words: str) -> None:
        """The sentence says what is wrong."""
        (home / "mailbox.json").write_text(content)
        with pytest.raises(ConfigError, match=words):
            configured_tcp()


def test_addresses_compare_by_value() -> None:
    """An address equals one with the same parts, and its repr shows the URL."""
    address = Address(host="::1", port=1)
    assert {address} == {parse_url("http://[::1]:1")}
    assert address != "http://[::1]:1"
    assert repr(address) == "<Address http://[::1]:1>"
