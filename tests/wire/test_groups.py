"""Groups and descriptions over REST."""

import pytest

from wire.conftest import Fresh
from wire.mail import Mail


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
    def test_joining_and_leaving(self, mail: Mail, fresh: Fresh) -> None:
        """The answers and the list say who belongs to the group."""
        group, one, two = f"@{fresh('team')}", fresh("one"), fresh("two")
        assert mail.join(one, group) == {"name": group, "kind": "joined", "members": [one]}
        assert mail.join(two, group)["members"] == [one, two]
        assert mail.groups()[group]["members"] == [one, two]
        assert mail.join(one, group, "leave")["members"] == [two]
        assert mail.join(two, group, "leave")["members"] == []
        assert group not in mail.groups()

    @pytest.mark.parametrize(
        "name", ["team", "@", "@@x", "@-x", "@user", "@a\n", "@!", 1, None, ""]
    )
    def test_what_is_no_name_of_a_group(self, mail: Mail, fresh: Fresh, name: object) -> None:
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
    def test_it_is_in_the_list(self, mail: Mail, fresh: Fresh) -> None:
        name = fresh("me")
        assert mail.describe(name, " the login ") == {"name": name, "description": "the login"}
        assert mail.rows(name)[name]["description"] == "the login"
        assert mail.describe(name, "")["description"] is None
        assert "description" not in mail.rows(name)[name]

    @pytest.mark.parametrize("text", [None, 7, "x" * 201, "a\nb", "a\x1b[2J"])
    def test_what_is_no_description(self, mail: Mail, fresh: Fresh, text: object) -> None:
        """Names and descriptions are printed on one line with others."""
        content = {"text": text}
        reply = mail.request("POST", "/v1/describe", fresh("me"), content=content)
        assert (reply.status, reply.json()["reason"]) == (400, "bad-request")
