"""Mail sent through a disk that fails, and what the disk must hold of it whenever the power goes."""

import itertools
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from claude_mailbox.daemon.store.sqlite.database import open_database
from claude_mailbox.errors import StartupError
from claude_mailbox.refusals import OutcomeUnknown
from crash.power_cut import images, read_record
from support.daemon import PATIENCE_SECONDS, DaemonProcess
from support.faulty_disk import FaultyDisk


@dataclass
class Promises:
    """What was answered, each with how long the disk's record was by then.

    Attributes:
        accepted: sends, by their text.
        acked: acks that were answered "done", by the message's number.
        renamed: renames, by the new name.
        refused: texts whose send got the answer that nothing was stored, and was not tried again.
    """

    accepted: dict[str, int] = field(default_factory=dict)
    acked: dict[int, int] = field(default_factory=dict)
    renamed: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    _count: "itertools.count[int]" = field(default_factory=itertools.count)

    def next_body(self, dice: random.Random) -> str:
        """Return a new text, sometimes so large that the journal soon has to be written back."""
        return f"{next(self._count)} " + "x" * dice.choice([10, 500, 5_000, 150_000])


class Mailer:
    """Sends, claims, acks and renames at random; a context manager.

    Args:
        process: the daemon; it is started again whenever it has ended by itself.
        disk: the one below it, which records.
        dice: decides what is done.
    """

    def __init__(self, process: DaemonProcess, disk: FaultyDisk, dice: random.Random) -> None:
        self.promises = Promises()
        self._process = process
        self._disk = disk
        self._dice = dice
        # Each request on a new connection, which any life of the daemon answers.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._is_refused = False
        self._client = httpx.Client(timeout=PATIENCE_SECONDS, limits=limits)

    def __enter__(self) -> "Mailer":
        return self

    def __exit__(self, *error: object) -> None:
        self._client.close()

    def work(self, requests: int) -> None:
        """Make so many requests, one after the other."""
        for _ in range(requests):
            chance = self._dice.random()
            if chance < 0.55:
                self._send()
            elif chance < 0.6:
                self._rename()
            elif chance < 0.8:
                self._claim_and_ack()
            else:
                self._post("/v1/check-inbox?name=b&limit=1", "b")

    def _send(self) -> None:
        body = self.promises.next_body(self._dice)
        answer = self._post("/v1/send", "a", {"to": "b", "body": body, "idempotencyKey": body[:9]})
        if answer is not None:
            self.promises.accepted[body] = self._now()
        elif self._is_refused:
            self.promises.refused.add(body)

    def _rename(self) -> None:
        name = f"box {self.promises.next_body(self._dice).partition(' ')[0]}"
        # Whatever it is called now, its first name stands for it.
        is_there = self._post("/v1/check-inbox?name=box", "box") is not None
        if is_there and self._post("/v1/rename", "box", {"to": name}) is not None:
            self.promises.renamed[name] = self._now()

    def _claim_and_ack(self) -> None:
        answer = self._post("/v1/check-inbox?name=b&limit=2&lease=300", "b")
        tokens = {message["lease"]: message["id"] for message in answer or []}
        if tokens and self._dice.random() < 0.7:
            answer = self._post("/v1/ack", "b", {"leases": list(tokens)})
            for token in answer["done"] if answer else []:
                self.promises.acked[tokens[token]] = self._now()

    def _post(self, path: str, mailbox: str, content: object = None) -> object:
        self._is_refused = False
        try:
            answer = self._client.post(
                f"{self._process.url}{path}", headers={"X-Mailbox": mailbox}, json=content
            )
        except httpx.TransportError:
            self.start_again()
            return None
        if answer.status_code == 200:
            return json.loads(answer.content)
        assert answer.status_code == 503, answer.text
        self._is_refused = "Nothing was stored" in answer.text
        if answer.json()["reason"] == OutcomeUnknown.code or "is ending" in answer.text:
            self.start_again()
        return None

    def start_again(self) -> None:
        """Wait until the daemon has ended, and start it on a disk that works."""
        self._process.wait()
        self._disk.heal()
        self._process.start()

    def _now(self) -> int:
        return self._disk.record.stat().st_size


def check_power_cuts(
    disk: FaultyDisk, promises: Promises, folder: Path, dice: random.Random, *, limit: int
) -> int:
    """Pull the plug at about *limit* moments; return at how many.

    Whatever the disk holds then, the daemon can start on it, and finds all that was answered.
    """
    operations = read_record(disk.record)
    count = 0
    for end, files in images(operations, dice, share=limit / len(operations)):
        problem = _problem_of(files, end, promises, folder)
        assert problem is None, f"power cut {count}, at {end} of the record: {problem}"
        count += 1
    return count


def _problem_of(
    files: Mapping[str, bytes], end: int, promises: Promises, folder: Path
) -> str | None:
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    try:
        connection = open_database(str(folder / "mailbox.db"))
    except StartupError as error:
        return str(error)
    try:
        if connection.pragma("quick_check") != "ok":
            return "the database is damaged"
        there = {text for (text,) in connection.execute("SELECT text FROM body")}
        lost = {body for body, time in promises.accepted.items() if time <= end} - there
        if lost:
            return f"lost: {sorted(body[:9] for body in lost)}"
        if wrong := promises.refused & there:
            return f"refused and stored: {sorted(body[:9] for body in wrong)}"
        names = connection.execute("SELECT name FROM mailbox UNION SELECT name FROM alias")
        renamed = {name for name, time in promises.renamed.items() if time <= end}
        if forgotten := renamed - {name for (name,) in names}:
            return f"renamed and forgotten: {sorted(forgotten)}"
        taken = {number for (number,) in connection.execute("SELECT id FROM message WHERE state=2")}
        back = {number for number, time in promises.acked.items() if time <= end} - taken
        return f"acked and back: {sorted(back)}" if back else None
    finally:
        connection.close()
