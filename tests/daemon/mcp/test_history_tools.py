"""The tools ``history`` and ``message``."""

import pytest

from daemon.mcp.rpc import HANDSHAKE, MODERN, Rpc
from wire.conftest import Fresh
from wire.connection import path
from wire.mail import Mail

pytestmark = pytest.mark.parametrize("era", [HANDSHAKE, MODERN])


class TestHistory:
    """``history`` and ``message``"""

    def test_history_and_message_answer_like_rest(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str
    ) -> None:
        """And take no mail."""
        name, peer = fresh("me"), fresh("peer")
        number = mail.send(peer, name, "one word")["id"]
        mail.send(name, peer, "another word")

        answer = rpc.call("history", {"name": name}, era=era)

        assert answer == {"messages": mail.history(name), "more": False}
        for arguments, bodies in (
            ({"query": "ONE"}, ["one word"]),
            ({"query": '"another word"', "with": peer}, ["another word"]),
            ({"with": fresh("nobody")}, []),
            ({"thread": number}, ["one word"]),
            ({"before": number}, []),
            ({"query": "", "with": None, "thread": None}, ["another word", "one word"]),
        ):
            messages = rpc.call("history", {"name": name, **arguments}, era=era)["messages"]
            assert [message["body"] for message in messages] == bodies
        for caller in (name, peer):
            status = rpc.call("message", {"id": number, "name": caller}, era=era)
            assert status == mail.status(caller, number)
        assert mail.peek(name)["pending"] == 1

    def test_other_peoples_messages_are_not_there(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str
    ) -> None:
        """Neither in a history nor by their number."""
        name = fresh("me")
        number = mail.send("a", "b", "private")["id"]

        assert rpc.call("history", {"name": name, "thread": number}, era=era)["messages"] == []
        reply = mail.request("GET", path("/v1/message", id=number), name)
        sentence = rpc.refuse("message", {"id": number, "name": name}, era=era)
        assert sentence == reply.error(404, "not-found")

    def test_at_most_twenty_messages(self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str) -> None:
        """``before`` goes on where a page ended."""
        name = fresh("me")
        for number in range(21):
            mail.send("a", name, str(number))

        first = rpc.call("history", {"name": name}, era=era)
        before = first["messages"][-1]["id"]
        second = rpc.call("history", {"name": name, "before": before}, era=era)

        assert (len(first["messages"]), first["more"]) == (20, True)
        assert ([each["body"] for each in second["messages"]], second["more"]) == (["0"], False)

    @pytest.mark.parametrize("sign", ["x", "\0", '"', "🙂"])
    @pytest.mark.parametrize(("client", "limit"), [(None, 8_000), ("claude-code", 20_000)])
    def test_at_most_twenty_thousand_characters(
        self,
        rpc: Rpc,
        mail: Mail,
        fresh: Fresh,
        era: str,
        client: str | None,
        limit: int,
        sign: str,
    ) -> None:
        """Or as many as the client takes, as JSON in UTF-8. Nothing is passed over."""
        name = fresh("me")
        for number in range(5):
            mail.send("a", name, str(number) + sign * 6_000)

        begun = []
        more, before = True, None
        while more:
            arguments = {"name": name, "before": before}
            rpc.begin_call("history", arguments, era=era, client=client)
            result = rpc.result()
            assert len(result["content"][0]["text"].encode()) <= limit
            more = result["structuredContent"]["more"]
            for message in result["structuredContent"]["messages"]:
                before = message["id"]
                begun.append(message["body"][0])
                is_cut = len(message["body"]) < 6_001
                assert message.get("bodyLength") == (6_001 if is_cut else None)

        assert begun == ["4", "3", "2", "1", "0"]

    def test_a_message_that_is_too_long_is_cut(
        self, rpc: Rpc, mail: Mail, fresh: Fresh, era: str
    ) -> None:
        """With its length."""
        name = fresh("me")
        mail.send("a", name, "x" * 30_000)

        answer = rpc.call("history", {"name": name}, era=era, client="claude-code")

        (message,) = answer["messages"]
        assert 15_000 < len(message["body"]) < 20_000
        assert message["bodyLength"] == 30_000

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            ("query", True),
            ("query", "x" * 501),
            ("thread", "x"),
            ("thread", 1.5),
            ("before", -1),
            ("before", True),
        ],
    )
    def test_malformed_history_arguments_are_refused(
        self, rpc: Rpc, fresh: Fresh, era: str, argument: str, value: object
    ) -> None:
        """The sentence names the argument."""
        arguments = {"name": fresh("me"), argument: value}
        assert f"'{argument}'" in rpc.refuse("history", arguments, era=era)

    @pytest.mark.parametrize("value", [None, "", 0, 2**63, [], True])
    def test_a_malformed_id_is_refused(
        self, rpc: Rpc, fresh: Fresh, era: str, value: object
    ) -> None:
        """The sentence names the argument."""
        assert "'id'" in rpc.refuse("message", {"name": fresh("me"), "id": value}, era=era)
