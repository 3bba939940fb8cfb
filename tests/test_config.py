"""Flags win over the file, which wins over the defaults; every mistake is named."""

import json
from pathlib import Path

import pytest

from claude_mailbox import config
from claude_mailbox.config import KEYS, Config
from claude_mailbox.errors import ConfigError


@pytest.fixture
def home(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without a file."""
    monkeypatch.setenv("CLAUDE_MAILBOX_HOME", str(scratch))
    return scratch


def write(home: Path, content: object) -> str:
    """Write ``mailbox.json``; return its path."""
    text = content if isinstance(content, str) else json.dumps(content)
    (home / "mailbox.json").write_text(text, encoding="utf-8")
    return str(home / "mailbox.json")


class TestSources:
    def test_without_a_file_there_are_defaults(self, home: Path) -> None:
        """As the contract says."""
        assert config.load() == Config(db_path=str(home / "mailbox.db"))
        assert config.load().port == 37849
        assert sorted(KEYS) == sorted(
            [
                "port",
                "bind",
                "dbPath",
                "hideAfterMinutes",
                "deleteAfterMinutes",
                "sweepIntervalMinutes",
                "maxBodyBytes",
                "maxPendingPerMailbox",
                "maxMailboxes",
                "maxWaitersPerMailbox",
                "maxAttempts",
                "keepDays",
                "logFormat",
                "maxPerMinute",
                "guardAfter",
                "holdAfter",
                "guardMinutes",
                "maxRecipients",
                "allowedHosts",
                "tlsCert",
                "tlsKey",
                "behindProxy",
                "localPort",
                "tokenFile",
                "databaseUrl",
                "userMailbox",
            ]
        )

    def test_the_file_overrides_the_defaults(self, home: Path) -> None:
        """Every key can be set."""
        values = {
            "port": 0,
            "bind": "::1",
            "dbPath": "/x/y.db",
            "databaseUrl": "postgresql://host/name",
            "hideAfterMinutes": 0,
            "deleteAfterMinutes": 1,
            "sweepIntervalMinutes": 2,
            "maxBodyBytes": 3,
            "maxPendingPerMailbox": 4,
            "maxMailboxes": 6,
            "maxWaitersPerMailbox": 5,
            "keepDays": 9,
            "logFormat": "json",
            "maxAttempts": 11,
            "maxPerMinute": 7,
            "guardAfter": 8,
            "holdAfter": 0,
            "guardMinutes": 9,
            "maxRecipients": 10,
            "allowedHosts": ["Mail.Example"],
            "tlsCert": "/x/cert.pem",
            "tlsKey": "/x/key.pem",
            "behindProxy": True,
            "localPort": 7,
            "tokenFile": "/x/token",
            "userMailbox": "anna",
        }
        write(home, values)
        loaded = config.load()
        assert {key: getattr(loaded, field) for key, field in KEYS.items()} == {
            **values,
            "allowedHosts": ("mail.example",),
        }

    def test_a_flag_overrides_the_file(self, home: Path) -> None:
        """Over the file; one that was not given does not."""
        write(home, {"port": 1, "bind": "::1"})
        loaded = config.load({"port": 0, "bind": None})
        assert (loaded.port, loaded.bind) == (0, "::1")

    def test_config_names_another_file(self, home: Path, scratch: Path) -> None:
        """It stands instead of the usual one, and must be there."""
        write(home, {"port": 1, "bind": "::1"})
        other = scratch / "other.json"
        with pytest.raises(ConfigError, match=r"Cannot read the configuration .*other.json"):
            config.load(path=str(other))
        other.write_text('{"port": 2}')
        loaded = config.load(path=str(other))
        assert (loaded.port, loaded.bind) == (2, "127.0.0.1")

    def test_a_byte_order_mark_is_accepted(self, home: Path) -> None:
        """Editors there begin files with a byte order mark."""
        (home / "mailbox.json").write_bytes(b'\xef\xbb\xbf{"port": 5}')
        assert config.load().port == 5

    def test_the_users_folder(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A tilde in a path is the user's home."""
        monkeypatch.setenv("HOME", "/home/somebody")
        write(home, {"dbPath": "~/mail.db"})
        assert config.load().db_path == "/home/somebody/mail.db"


class TestMistakes:
    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("", "is not valid JSON"),
            ("{", "is not valid JSON"),
            ("[" * 100_000, "is not valid JSON"),
            ("[]", "must be one JSON object"),
            ('{"port": 1} x', "is not valid JSON"),
            ({"prot": 1}, "Unknown key 'prot' .* keys are: port bind dbPath"),
            ({"db_path": "x"}, "Unknown key 'db_path'"),
        ],
    )
    def test_a_mistake_in_the_file_names_the_key(
        self, home: Path, content: object, words: str
    ) -> None:
        """The sentence names the file."""
        path = write(home, content)
        with pytest.raises(ConfigError, match=words) as caught:
            config.load()
        assert path in str(caught.value)

    def test_a_file_that_is_not_text_is_refused(self, home: Path) -> None:
        """A file in another encoding is no JSON."""
        (home / "mailbox.json").write_bytes(b'{"bind": "\xff"}')
        with pytest.raises(ConfigError, match="is not valid JSON"):
            config.load()

    def test_a_folder_in_place_of_the_file_is_refused(self, home: Path) -> None:
        """A folder of that name cannot be read."""
        (home / "mailbox.json").mkdir()
        with pytest.raises(ConfigError, match="Cannot read"):
            config.load()

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("port", "80"),
            ("port", True),
            ("port", 1.0),
            ("port", None),
            ("port", -1),
            ("port", 65536),
            ("maxBodyBytes", 0),
            ("maxBodyBytes", 10**9),
            ("hideAfterMinutes", -1),
            ("sweepIntervalMinutes", 10**10),
            ("bind", ""),
            ("bind", 5),
            ("dbPath", ""),
            ("dbPath", ["x"]),
            ("allowedHosts", "localhost"),
            ("allowedHosts", [1]),
            ("behindProxy", 1),
            ("tlsCert", ""),
            ("localPort", 65536),
        ],
    )
    def test_wrong_types_and_ranges_are_refused(self, home: Path, key: str, value: object) -> None:
        """The sentence names the key and where it stands."""
        path = write(home, {key: value})
        with pytest.raises(ConfigError, match=f"'{key}' in {path} must be"):
            config.load()
        if value is not None:
            (home / "mailbox.json").unlink()
            with pytest.raises(ConfigError, match=f"'{key}' on the command line must be"):
                config.load({key: value})

    @pytest.mark.parametrize(
        ("values", "words"),
        [
            ({"bind": "0.0.0.0"}, "other machines can reach"),
            ({"bind": "mail.example"}, "other machines can reach"),
            ({"tlsCert": "/x"}, "'tlsCert' and 'tlsKey'"),
            ({"tlsKey": "/x", "behindProxy": True}, "'tlsCert' and 'tlsKey'"),
            ({"localPort": 1}, "'port' is that of this machine"),
            ({"localPort": 1, "port": 1, "behindProxy": True}, "one each"),
        ],
    )
    def test_keys_that_exclude_each_other_are_refused(
        self, home: Path, values: dict[str, object], words: str
    ) -> None:
        """Nobody is let in by mistake."""
        write(home, values)
        with pytest.raises(ConfigError, match=words):
            config.load()


class TestDatabaseUrl:
    def test_the_flag_wins_over_the_environment_which_wins_over_the_file(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(home, {"databaseUrl": "postgresql://file/x"})
        assert config.load().database_url == "postgresql://file/x"
        monkeypatch.setenv("CLAUDE_MAILBOX_DATABASE", "postgres://environment/x")
        assert config.load().database_url == "postgres://environment/x"
        flags = {"databaseUrl": "postgresql://flag/x"}
        assert config.load(flags).database_url == "postgresql://flag/x"

    def test_only_postgresql_is_taken(self, home: Path) -> None:
        write(home, {"databaseUrl": "mysql://x"})
        with pytest.raises(ConfigError, match=r"'databaseUrl'.*--database.*PostgreSQL"):
            config.load()
