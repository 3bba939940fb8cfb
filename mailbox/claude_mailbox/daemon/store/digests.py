"""Digests of messages, which tell whether an idempotency key comes again with the same message."""

from dataclasses import replace
from hashlib import sha256

from claude_mailbox.model.drafts import NORMAL, Draft

# The fields of a plain message. Its digest is that of its text alone, as in older versions.
_PLAIN = (None, True, None, NORMAL, None, None)


def digest_of(draft: Draft) -> bytes:
    """Return a digest of everything in a message but its recipient."""
    text = draft.body
    more = (draft.reply_to, draft.is_final, draft.ask, draft.urgency, draft.ttl, draft.delay)
    if more != _PLAIN:
        text = repr((text, *more))
    return sha256(text.encode()).digest()


def group_digest_of(draft: Draft) -> bytes:
    """Return a digest of a message to a group, which is not that of a message to one mailbox."""
    return digest_of(replace(draft, body=f"{draft.to}\n{draft.body}"))
