"""Messages as files: JSON lines, which `import` reads again, and mbox, which mail readers open."""

import email.policy
import json
from collections.abc import Iterator
from datetime import datetime
from email.generator import BytesGenerator
from email.headerregistry import Address
from email.message import EmailMessage
from typing import Any, BinaryIO

from claude_mailbox.cli.copies.database import reading
from claude_mailbox.model.times import iso_time

# By the number in the database. It is the same list that the daemon has.
STATES = (
    "waiting",
    "leased",
    "delivered",
    "delayed",
    "held",
    "expired",
    "parked",
    "deleted",
)
_SQL = """
SELECT message.id, coalesce(a.name, message.sender), coalesce(b.name, message.recipient), text,
    sent_at, state, attempts, delivered_at, delivered_by, thread, reply_to, urgency
FROM message JOIN body ON body.message_id = message.id
LEFT JOIN mailbox AS a ON a.id = sender_id LEFT JOIN mailbox AS b ON b.id = recipient_id
ORDER BY message.id
"""
_DOMAIN = "claude-mailbox.invalid"


def messages(path: str) -> Iterator[dict[str, Any]]:
    """Yield all messages of a database, oldest first; what says nothing is left out."""
    connection = reading(path)
    try:
        for row in connection.execute(_SQL):
            number, sender, recipient, text, sent, state, attempts, delivered, by, *more = row
            thread, reply_to, urgency = more
            message = {
                "id": number,
                "from": sender,
                "to": recipient,
                "sentAt": iso_time(int(str(sent))),
                "state": STATES[int(str(state))],
                "attempts": attempts,
                "deliveredAt": None if delivered is None else iso_time(int(str(delivered))),
                "by": by,
                "thread": thread,
                "replyTo": reply_to,
                "urgency": {1: "high", -1: "low"}.get(int(str(urgency))),
                "body": text,
            }
            yield {key: value for key, value in message.items() if value is not None}
    finally:
        connection.close()


def write_jsonl(path: str, file: BinaryIO) -> int:
    """Write all messages, a JSON object a line; return how many there are."""
    count = 0
    for message in messages(path):
        file.write(json.dumps(message, ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def write_mbox(path: str, file: BinaryIO) -> int:
    """Write all messages as a mail reader knows them; return how many there are."""
    policy = email.policy.default
    generator = BytesGenerator(file, mangle_from_=True, policy=policy)
    count = 0
    for message in messages(path):
        mail = EmailMessage(policy=policy)
        mail["From"] = _address(message["from"])
        mail["To"] = _address(message["to"])
        moment = datetime.fromisoformat(message["sentAt"])
        mail["Date"] = moment
        mail["Subject"] = _subject(message["body"])
        mail["Message-ID"] = f"<{message['id']}@{_DOMAIN}>"
        if "replyTo" in message:
            mail["In-Reply-To"] = f"<{message['replyTo']}@{_DOMAIN}>"
            references = dict.fromkeys([message.get("thread"), message["replyTo"]])
            mail["References"] = " ".join(f"<{each}@{_DOMAIN}>" for each in references if each)
        mail["X-Mailbox-State"] = message["state"]
        mail.set_content(message["body"])
        file.write(f"From MAILER-DAEMON {moment:%a %b %d %H:%M:%S %Y}\n".encode())
        generator.flatten(mail)
        file.write(b"\n")
        count += 1
    return count


def _address(name: str) -> Address:
    local = "".join(c if c.isascii() and (c.isalnum() or c in "._-+") else "-" for c in name)
    return Address(display_name=name, username=local.strip(".") or "mailbox", domain=_DOMAIN)


def _subject(body: str) -> str:
    line = next((line.strip() for line in body.splitlines() if line.strip()), "")
    plain = "".join(c if c.isprintable() else " " for c in line)
    return plain if len(plain) <= 70 else f"{plain[:69]}…"
