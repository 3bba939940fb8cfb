"""``client-hook CLIENT MOMENT``: what the hooks of other clients than Claude Code run.

The exit code is always 0. There is no proof that the model of such a client has a message, so mail
counts as delivered when it is printed.
"""

import os

from claude_mailbox.client import codec, output
from claude_mailbox.client.hooks.check import FRAME_LENGTH
from claude_mailbox.client.hooks.hook_io import OUTPUT_LIMIT, read_input, text_field
from claude_mailbox.client.hooks.patience import complaint, seconds_to_wait
from claude_mailbox.client.hooks.session_events import report_event
from claude_mailbox.client.identity.bell_command import mark_busy
from claude_mailbox.client.identity.client_process import ancestor_key
from claude_mailbox.client.interrupts import Interrupted, Interrupts
from claude_mailbox.client.reach.api import Daemon, Identity, Refused
from claude_mailbox.client.reach.connection import NoAnswer
from claude_mailbox.errors import BadRequest, DaemonUnreachable, MailboxError, OutputLost
from claude_mailbox.paths import bell_path

# Client -> how its hooks call the session's id, whether they take text as those of Claude Code do,
# under "hookSpecificOutput", and what the names of our tools begin with there.
CLIENTS = {
    "codex": ("session_id", True, "mcp__mailbox__"),
    "copilot": ("sessionId", False, "mailbox-"),
    "gemini": ("session_id", True, "mcp_mailbox_"),
    "opencode": ("sessionID", False, "mailbox_"),
    "qwen": ("session_id", True, "mcp__mailbox__"),
}
# "call" is before a call of one of our tools, where one process may run many sessions.
MOMENTS = ("start", "prompt", "call", "tool", "stop", "end")
# What watches the session's bell itself, as Claude Code does.
_WATCHERS = frozenset({"opencode"})


class ClientHook:
    """One run of a hook.

    Args:
        client: a key of `CLIENTS`.
        moment: one of `MOMENTS`.
        url: address of the daemon.

    Raises:
        MailboxError: if standard input does not say which session it is.
    """

    def __init__(self, client: str, moment: str, url: str | None) -> None:
        field, self._is_like_claude, self._tools = CLIENTS[client]
        self._client = client
        self._url = url
        self._moment = moment
        hook = read_input()
        self._event = text_field(hook, "hook_event_name")
        self._session = text_field(hook, field)
        # There is no transcript that we can read.
        self._hook: dict[str, object] = {"session_id": self._session, "cwd": hook.get("cwd")}
        self._bell: str | None = None

    def run(self) -> None:
        """Do what is to be done at that moment.

        Raises:
            MailboxError: if it cannot be done now.
        """
        if not self._session:
            raise MailboxError("The hook's JSON on standard input has no session id.")
        if self._moment == "start":
            self.tell(self._introduce())
        elif self._moment == "call":
            self._register()
        elif self._moment == "stop":
            mark_busy(bell_path(self._session), is_busy=False)
            report_event(self._daemon(), self._session, self._hook, state="idle")
        elif self._moment == "end":
            body = {"sessionId": self._session, "reason": "other", "client": ancestor_key()}
            self._daemon().call("POST", "/v1/session/end", body=body)
        else:
            self._show_mail()

    def tell(self, text: str) -> None:
        """Give text to the model, where the client takes some at that moment."""
        if text and self._moment in {"start", "prompt", "tool"}:
            output.write(self._form(text))

    def _form(self, text: str) -> str:
        content: dict[str, object] = {"additionalContext": text}
        if self._is_like_claude:
            content = {"hookSpecificOutput": {"hookEventName": self._event, **content}}
        elif self._bell is not None:
            content["bell"] = self._bell
        return codec.encode(content) + "\n"

    def _daemon(self) -> Daemon:
        return Daemon(self._url, seconds=seconds_to_wait())

    def _introduce(self) -> str:
        """Register the session, and return what its model is told about its mailbox."""
        from claude_mailbox.client.hooks.context.introduction import introduction
        from claude_mailbox.client.hooks.session import PEER_MINUTES, report_start

        registration = self._register()
        report_start(self._daemon(), self._hook)
        return introduction(registration, PEER_MINUTES, self._tools)

    def _register(self) -> dict[str, object]:
        """Register the session for its process, with what wakes it."""
        from claude_mailbox.client.hooks.session import register
        from claude_mailbox.client.identity.bell_command import bell_command, write_bell_command

        command = bell_command(self._client, self._session)
        can_wake = command is not None or self._client in _WATCHERS
        wanted: dict[str, object] = {"client": ancestor_key()}
        registration = register(self._hook, self._url, wanted, has_bell=can_wake, may_start=True)
        bell = registration.get("bell")
        if isinstance(bell, str) and not os.path.exists(bell):
            # The daemon's file is not on this machine (a container, a forwarded port).
            return register(self._hook, self._url, wanted, has_bell=False, may_start=False)
        if isinstance(bell, str) and command is not None:
            write_bell_command(bell, command, self._session)
        elif isinstance(bell, str):
            self._bell = bell
        return registration

    def _show_mail(self) -> None:
        """Show the mail that waits; introduce a session that was never announced."""
        identity = Identity(None, self._session)
        greeting = ""
        if self._moment == "prompt":
            mark_busy(bell_path(self._session), is_busy=True)
        with Interrupts() as interrupts:
            daemon = self._daemon()
            if self._moment == "prompt":
                try:
                    report_event(
                        daemon, self._session, self._hook, state="working", beginsTurn=True
                    )
                    claim = interrupts.call(daemon, daemon.claim, identity, None, _ROOM)
                except Refused as refusal:
                    if refusal.code != "unknown-session":
                        raise
                    greeting = self._introduce() + "\n"
                    claim = interrupts.call(
                        daemon, daemon.claim, identity, None, _ROOM - len(greeting)
                    )
            else:
                claim = interrupts.call(daemon, daemon.claim, identity, None, _ROOM)
            deliveries, pending = claim
            if not deliveries and not pending:
                self.tell(greeting)
                return
            # Imported here, because most hooks find no mail.
            from claude_mailbox.client.hooks.context.framing import frame
            from claude_mailbox.client.printing import print_mail

            text, shown = frame(deliveries, pending, None, _ROOM - len(greeting))
            rest = deliveries[len(shown) :]
            if rest:
                daemon.release([delivery.lease for delivery in rest], identity)
            print_mail(
                self._form(greeting + text),
                shown,
                daemon=daemon,
                identity=identity,
                interrupts=interrupts,
            )


_ROOM = OUTPUT_LIMIT - FRAME_LENGTH


def client_hook(*, client: str, moment: str, url: str | None = None) -> int:
    """Run a hook of *client* at *moment*; it never fails a session.

    Raises:
        BadRequest: if there is no such client or moment.
    """
    if client not in CLIENTS or moment not in MOMENTS:
        raise BadRequest(
            f"Give --client one of {', '.join(CLIENTS)}, and --moment one of {', '.join(MOMENTS)}."
        )
    hook = ClientHook(client, moment, url)
    try:
        try:
            hook.run()
        except NoAnswer:
            hook.tell(_said(complaint()))
        except DaemonUnreachable:
            hook.tell(
                _said("The mail daemon is not running: start it with 'claude-mailbox start'.")
            )
        except MailboxError as error:
            if not isinstance(error, OutputLost):
                hook.tell(_said(str(error)))
    except (Interrupted, OutputLost):
        pass
    except Exception as error:  # a bug of ours must not fail a session
        output.report_error(f"claude-mailbox: {type(error).__name__}: {error}")
    return 0


def _said(sentence: str | None) -> str:
    return "" if sentence is None else f"[Claude-Mailbox] {sentence}"
