"""The library over TLS, with a token."""

import pytest

from claude_mailbox import AsyncMailbox, Mailbox
from claude_mailbox.errors import ConfigError, DaemonUnreachable
from claude_mailbox.library import Refused
from library.conftest import Run
from support.network import NetworkDaemon


def test_it_works_over_tls_with_a_token(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """By the variables that the command line takes, too."""
    with NetworkDaemon() as daemon:
        for name, value in daemon.client_environment.items():
            if name.startswith("CLAUDE_MAILBOX"):
                monkeypatch.setenv(name, value)
        url = f"https://localhost:{daemon.tls_port}"
        with Mailbox("bob", url=url, token=daemon.create_token("bob")) as bob:

            async def main() -> None:
                token = daemon.create_token("alice")
                async with AsyncMailbox("alice", url=url, token=token) as alice:
                    await alice.send("bob", "hello")

            run(main)
            assert [message.body for message in bob.check()] == ["hello"]
        with Mailbox("bob", url=url, token="nonsense") as bob, pytest.raises(Refused) as refused:
            bob.check()
        assert refused.value.status == 401
        monkeypatch.delenv("CLAUDE_MAILBOX_CA", raising=False)
        sentence = f"^The certificate of {url} cannot be trusted .*CLAUDE_MAILBOX_CA"
        with Mailbox("bob", url=url, token="x") as bob:
            with pytest.raises(DaemonUnreachable, match=sentence):
                bob.check()

            async def untrusting() -> None:
                async with AsyncMailbox("bob", url=url, token="x") as bob:
                    with pytest.raises(DaemonUnreachable, match=sentence):
                        await bob.check()

            run(untrusting)
    sentence = f"^The daemon at {url} does not answer"
    with (
        Mailbox("bob", url=url, token="x") as bob,
        pytest.raises(DaemonUnreachable, match=sentence),
    ):
        bob.check()


def test_a_token_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond this machine."""
    monkeypatch.setenv("CLAUDE_MAILBOX_TOKEN", "secret")

    with pytest.raises(ConfigError, match="https"):
        Mailbox("bob", url="http://192.0.2.1:37849")
