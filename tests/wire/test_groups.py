"""Groups and descriptions over REST."""

import pytest

from wire.conftest import Fresh
from wire.mail import Mail, is_now


def session(mail: Mail, name: str, project: str | None = None) -> str:
    """Start a session in a project; return its mailbox."""
    content = {"sessionId": f"{name}-id", "name": name, "bell": False}
    reply = mail.request("POST", "/v1/session", content=content)
    assert reply.status == 200, reply
    event = {"sessionId": f"{name}-id", "state": "idle", "project": project}
    assert mail.request("POST", "/v1/session/event", content=event).status == 200
    mailbox = reply.json()["name"]
    assert isinstance(mailbox, str)
    return mailbox


class TestMembership:
    def test_a_member_belongs_to_the_group_until_it_leaves(self, mail: Mail, fresh: Fresh) -> None:
        """The answers and the list say who belongs to the group."""
        group, one, two = f"@{fresh('team')}", fresh("one"), fresh("two")
        assert mail.join(one, group) == {"name": group, "kind": "joined", "members": [one]}
        assert mail.join(two, group)["members"] == [one, two]
        assert mail.groups()[group]["members"] == [one, two]
        assert mail.join(one, group, "leave")["members"] == [two]
        assert mail.join(two, group, "leave")["members"] == []
        assert group not in mail.groups()

    @pytest.mark.parametrize(
        "name", ["team", "@", "@@x", "@-x", "@claude-mailbox", "@a\nb", "@!", 1, None, ""]
    )
    def test_a_malformed_group_name_is_refused(
        self, mail: Mail, fresh: Fresh, name: object
    ) -> None:
        """The sentence says what is wrong with it."""
        for verb in ("join", "leave"):
            content = {"group": name}
            reply = mail.request("POST", f"/v1/groups/{verb}", fresh("me"), content=content)
            assert reply.status == 400
            assert reply.json()["reason"] == "invalid-name"

    def test_sessions_of_a_project_need_not_join(self, mail: Mail, fresh: Fresh) -> None:
        project = fresh("project")
        one, two = session(mail, fresh("one"), project), session(mail, fresh("two"), project)
        found = mail.groups()[f"@{project}"]
        assert (found["kind"], set(found["members"])) == ("project", {one, two})
        assert {one, two} <= set(mail.groups()["@all"]["members"])
        reply = mail.request("POST", "/v1/groups/join", one, content={"group": f"@{project}"})
        assert reply.status == 400


class TestDescription:
    def test_a_description_is_in_the_list(self, mail: Mail, fresh: Fresh) -> None:
        name = fresh("me")
        assert mail.describe(name, " the login ") == {"name": name, "description": "the login"}
        assert mail.rows(name)[name]["description"] == "the login"
        assert mail.describe(name, "")["description"] is None
        assert "description" not in mail.rows(name)[name]

    @pytest.mark.parametrize("text", [None, 7, "x" * 201, "a\nb", "a\x1b[2J"])
    def test_a_malformed_description_is_refused(
        self, mail: Mail, fresh: Fresh, text: object
    ) -> None:
        """Names and descriptions are printed on one line with others."""
        content = {"text": text}
        reply = mail.request("POST", "/v1/describe", fresh("me"), content=content)
        assert (reply.status, reply.json()["reason"]) == (400, "bad-request")


class TestSending:
    def test_every_member_gets_a_copy(self, mail: Mail, fresh: Fresh) -> None:
        """The answer lists them."""
        group, sender, one, two = f"@{fresh('team')}", fresh("me"), fresh("one"), fresh("two")
        for name in (sender, one, two):
            mail.join(name, group)
        answer = mail.send(sender, group, "hello")
        first, second = mail.check(one), mail.check(two)
        assert is_now(answer.pop("sentAt"))
        assert answer == {
            "id": first[0]["id"],
            "from": sender,
            "to": group,
            "state": "queued",
            "recipients": [
                {"id": first[0]["id"], "name": one, "state": "unknown", "wakes": False},
                {"id": second[0]["id"], "name": two, "state": "unknown", "wakes": False},
            ],
        }
        assert (first[0]["body"], second[0]["body"]) == ("hello", "hello")
        assert mail.check(sender) == []

    def test_a_repeated_key_stores_nothing_more(self, mail: Mail, fresh: Fresh) -> None:
        group, sender, one = f"@{fresh('team')}", fresh("me"), fresh("one")
        mail.join(one, group)
        first = mail.send(sender, group, "hello", idempotencyKey="k")
        again = mail.send(sender, group, "hello", idempotencyKey="k")
        assert again == {**first, "duplicate": True}
        assert mail.bodies(one) == ["hello"]

    def test_many_receivers_need_a_confirmation(self, mail: Mail, fresh: Fresh) -> None:
        """The error lists them."""
        group = f"@{fresh('team')}"
        members = [fresh("member") for _ in range(6)]
        for name in members:
            mail.join(name, group)
        content = {"to": group, "body": "hello"}
        reply = mail.request("POST", "/v1/send", fresh("me"), content=content)
        assert (reply.status, reply.json()["reason"]) == (409, "confirm")
        assert reply.json()["recipients"] == members
        assert mail.send(fresh("me"), group, confirm=True)["state"] == "queued"

    def test_a_group_without_members_is_refused(self, mail: Mail, fresh: Fresh) -> None:
        content = {"to": f"@{fresh('nobody')}", "body": "hello"}
        reply = mail.request("POST", "/v1/send", fresh("me"), content=content)
        assert (reply.status, reply.json()["reason"]) == (404, "empty-group")

    def test_sessions_of_one_project_reach_each_other(self, mail: Mail, fresh: Fresh) -> None:
        """Without any set-up."""
        project = fresh("project")
        one, two = session(mail, fresh("one"), project), session(mail, fresh("two"), project)
        (row,) = mail.send(one, f"@{project}", "hello")["recipients"]
        assert (row["name"], row["state"]) == (two, "idle")
        assert mail.bodies(two) == ["hello"]
