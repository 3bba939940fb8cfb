"""The REST verbs, for tests that are about what comes of them."""

import re
from datetime import UTC, datetime
from typing import Any

from wire.connection import Address, Connection, Reply, path

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


def parse_time(value: object) -> datetime:
    """Return the time that a field holds, which must have milliseconds and ``Z``."""
    assert isinstance(value, str)
    assert _TIME.fullmatch(value), value
    return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def is_now(value: object) -> bool:
    """Return whether the field's time lies within the last minute."""
    age = (datetime.now(UTC) - parse_time(value)).total_seconds()
    return -1 <= age < 60


class Mail(Connection):
    """A connection with a method for each verb; each insists on the good answer."""

    def __init__(self, address: Address) -> None:
        super().__init__(address)
        self.address = address

    def health(self) -> dict[str, Any]:
        """Return what ``/health`` says."""
        return self._good(self.request("GET", "/health")).json()

    def send(self, sender: str, to: str, body: str = "hello", **more: object) -> dict[str, Any]:
        """Send a message; return the receipt."""
        content = {"to": to, "body": body, **more}
        return self._good(self.request("POST", "/v1/send", sender, content=content)).json()

    def peek(self, name: str) -> dict[str, Any]:
        """Return the state of a mailbox."""
        return self._good(self.request("GET", path("/v1/peek", name=name))).json()

    def check(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Take what waits."""
        target = path("/v1/check-inbox", name=name, **parameters)
        return self._good(self.request("POST", target, name)).json()

    def bodies(self, name: str) -> list[str]:
        """Take what waits and return the bodies alone."""
        return [message["body"] for message in self.check(name)]

    def watch(self, name: str, **parameters: object) -> dict[str, Any] | None:
        """Wait for a message; return it, or None when none came."""
        reply = self.request("GET", path("/v1/watch", name=name, **parameters), name)
        return None if reply.status == 204 else self._good(reply).json()

    def start_watch(self, name: str, **parameters: object) -> None:
        """Begin to wait for a message; ``read`` returns what came of it."""
        parameters = {"timeout": 60, **parameters}
        self.start("GET", path("/v1/watch", name=name, **parameters), name)

    def status(self, caller: str, number: int, **parameters: object) -> dict[str, Any]:
        """Return what became of a message."""
        target = path("/v1/message", id=number, **parameters)
        return self._good(self.request("GET", target, caller)).json()

    def start_wait(self, caller: str, number: int) -> None:
        """Begin to wait for the delivery of a message; ``read`` returns what came of it."""
        self.start("GET", path("/v1/message", id=number, wait="delivered", timeout=60), caller)

    def history(self, name: str, **parameters: object) -> list[dict[str, Any]]:
        """Return what a mailbox sent and got."""
        target = path("/v1/history", name=name, **parameters)
        return self._good(self.request("GET", target, name)).json()

    def outcome(self, verb: str, holder: str, *tokens: str, **more: object) -> dict[str, Any]:
        """Ack, release or extend leases."""
        content = {"leases": list(tokens), **more}
        return self._good(self.request("POST", f"/v1/{verb}", holder, content=content)).json()

    def rows(self, caller: str | None = None) -> dict[str, dict[str, Any]]:
        """Return the list's rows by name."""
        rows = self._good(self.request("GET", "/v1/list", caller)).json()
        return {row["name"]: row for row in rows}

    def register(self, name: str) -> str:
        """Use a mailbox, so that there is one; return its name."""
        self._good(self.request("GET", "/v1/list", name))
        return name

    def rename(self, current: str, to: str) -> dict[str, Any]:
        """Rename a mailbox."""
        return self._good(self.request("POST", "/v1/rename", current, content={"to": to})).json()

    def join(self, name: str, group: str, verb: str = "join") -> dict[str, Any]:
        """Join a group, or leave it."""
        content = {"group": group}
        return self._good(self.request("POST", f"/v1/groups/{verb}", name, content=content)).json()

    def groups(self) -> dict[str, dict[str, Any]]:
        """Return the groups by name."""
        return {row["name"]: row for row in self._good(self.request("GET", "/v1/groups")).json()}

    def describe(self, name: str, text: str) -> dict[str, Any]:
        """Let a mailbox say what it is for."""
        content = {"text": text}
        return self._good(self.request("POST", "/v1/describe", name, content=content)).json()

    def delete(self, name: str) -> bool:
        """Delete a mailbox; return whether that was done."""
        target = path("/v1/mailbox", name=name)
        deleted = self._good(self.request("DELETE", target, name)).json()["deleted"]
        assert isinstance(deleted, bool)
        return deleted

    def wait_for_waiters(self, number: int) -> None:
        """Return when exactly *number* watches stand in line, in all mailboxes together."""
        while self.health()["waiters"] != number:
            pass

    @staticmethod
    def _good(reply: Reply) -> Reply:
        assert reply.status == 200, reply
        return reply
