"""``client-hook CLIENT MOMENT``: what the hooks of other clients than Claude Code run.

The exit code is always 0. Where the client's transcript proves what its model has, mail is delivered
with the proof; elsewhere when it is printed.
"""

import os

from claude_mailbox.client.hooks.check import FRAME_LENGTH
from claude_mailbox.client.hooks.hook_io import OUTPUT_LIMIT, read_input, text_field
from claude_mailbox.client.hooks.others.forms import CLIENTS, MOMENTS, working_folder
from claude_mailbox.client.hooks.others.hints import HINT, forget_hints, has_mail, has_new_mail
from claude_mailbox.client.hooks.patience import complaint, seconds_to_wait
from claude_mailbox.client.hooks.session_events import report_event
from claude_mailbox.client.identity.bell_command import TEXT, mark_busy
from claude_mailbox.client.identity.client_process import ancestor_key
from claude_mailbox.client.reach.api import Daemon, Identity, Refused
from claude_mailbox.client.reach.connection import NoAnswer
from claude_mailbox.client.terminal import output
from claude_mailbox.client.terminal.interrupts import Interrupted, Interrupts
from claude_mailbox.errors import BadRequest, DaemonUnreachable, MailboxError, OutputLost
from claude_mailbox.paths import bell_path

_ROOM = OUTPUT_LIMIT - FRAME_LENGTH
_UNKNOWN = "unknown-session"
# What Cursor calls a turn that did not end by itself.
_ABANDONED = frozenset({"aborted", "error"})


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
        self._form = CLIENTS[client]
        self._client = client
        self._url = url
        self._moment = moment
        self._input = read_input()
        self._session = self._form.session(self._input)
        self._transcript = self._form.transcript(self._input)
        lines = self._input.get("lines")
        self._lines = [str(each).encode() for each in lines] if isinstance(lines, list) else None
        self._hook: dict[str, object] = {
            "session_id": self._session,
            "cwd": working_folder(self._input),
            "transcript_path": self._transcript,
        }
        self._bell: str | None = None

    def run(self) -> None:
        """Do what the moment requires.

        Raises:
            MailboxError: if it cannot be done now.
        """
        if not self._form.is_spoken_by(self._input):
            return
        if not self._session:
            raise MailboxError("The hook's JSON on standard input has no session id.")
        if self._moment == "start":
            self._start(is_resumed=text_field(self._input, "source") == "resume")
        elif self._moment == "call":
            self._register()
        elif self._moment == "prompt":
            self._begin_turn()
        elif self._moment == "tool":
            self._show_mail_between_tools()
        elif self._moment == "stop":
            self._end_turn()
        else:
            self._end()

    def tell(self, text: str) -> None:
        """Print text for the model, if the client accepts any at that moment."""
        if text and self._moment in (*self._form.takes_mail, *self._form.takes_hints):
            output.write(self._output(text))

    def _output(self, text: str) -> str:
        more = {} if self._bell is None else {"bell": self._bell}
        return self._form.text(self._input, text, **more)

    def _daemon(self) -> Daemon:
        return Daemon(self._url, seconds=seconds_to_wait())

    def _start(self, *, is_resumed: bool) -> None:
        # What a prompt's hook beside this one shows is not in the transcript yet, and not lost.
        if is_resumed and self._form.starts_alone:
            self._settle_resumed()
        if is_resumed or not self._form.is_introduced_late:
            self.tell(self._introduce())

    def _introduce(self) -> str:
        """Register the session, and return what its model is told about its mailbox."""
        from claude_mailbox.client.hooks.context.introduction import introduction
        from claude_mailbox.client.hooks.session import PEER_MINUTES, report_start

        registration = self._register()
        report_start(self._daemon(), self._hook)
        return introduction(
            registration,
            PEER_MINUTES,
            self._form.tools or "",
            is_known=self._form.tools is not None,
            is_shown=True,
        )

    def _register(self) -> dict[str, object]:
        """Register the session for its process, with what wakes it."""
        from claude_mailbox.client.hooks.session import register
        from claude_mailbox.client.identity.bell_command import bell_command, write_bell_command

        command = bell_command(self._client, self._session)
        can_wake = command is not None or self._form.watches_bell
        # One process may run all sessions of an editor, and the terminals of its user.
        wanted: dict[str, object] = {"client": ancestor_key() if self._form.tools else None}
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

    def _begin_turn(self) -> None:
        """Show the mail that waits; introduce a session that was never announced."""
        mark_busy(bell_path(self._session), is_busy=True)
        prompt = text_field(self._input, "prompt")
        is_by_user = bool(prompt) and TEXT not in prompt and HINT not in prompt
        self._report(state="working", beginsTurn=True, byUser=is_by_user)
        try:
            self._show("")
        except Refused as refusal:
            if refusal.code != _UNKNOWN:
                raise
            self._show(self._introduce() + "\n")

    def _show_mail_between_tools(self) -> None:
        try:
            self._show_mail("")
        except Refused as refusal:
            if refusal.code != _UNKNOWN:  # it is introduced with its next prompt
                raise

    def _show(self, greeting: str) -> None:
        if self._moment in self._form.takes_mail:
            self._show_mail(greeting)
        elif has_mail(self._daemon(), Identity(None, self._session)):
            self.tell(f"{greeting}[Claude-Mailbox] {HINT}")
        else:
            self.tell(greeting)

    def _end_turn(self) -> None:
        """Report that the session is idle, or prolong the turn if mail came during it."""
        is_over = text_field(self._input, "status") in _ABANDONED
        if self._form.is_prolonged and not is_over and self._has_new_mail():
            output.write(self._form.going_on(self._input, HINT))
            return
        mark_busy(bell_path(self._session), is_busy=False)
        self._report(state="idle")

    def _settle_resumed(self) -> None:
        """Settle what the resumed conversation has, so that the session is not rung for it."""
        try:  # noqa: SIM105  # contextlib costs 4 ms
            self._report()
        except DaemonUnreachable:
            pass  # the daemon is started next

    def _report(self, **fields: object) -> None:
        """Tell the daemon what happens, and which of the mail that was shown has arrived."""
        daemon = self._daemon()
        unproved = report_event(daemon, self._session, self._hook, **fields)
        if unproved and self._form.has_proof:
            from claude_mailbox.client.transcript import proof

            moments = {"prompt": proof.PROMPT, "stop": proof.TURN_END, "end": proof.SESSION_END}
            moment = moments.get(self._moment, proof.RESUME)
            proof.report_arrivals(
                daemon, self._session, unproved, moment, client=self._client, lines=self._lines
            )

    def _has_new_mail(self) -> bool:
        try:
            return has_new_mail(self._daemon(), Identity(None, self._session), self._session)
        except Refused:
            return False  # it was never announced

    def _end(self) -> None:
        forget_hints(self._session)
        self._report()
        key = ancestor_key() if self._form.tools else None
        body = {"sessionId": self._session, "reason": "other", "client": key}
        self._daemon().call("POST", "/v1/session/end", body=body)

    def _show_mail(self, greeting: str) -> None:
        identity = Identity(None, self._session)
        room = _ROOM - len(greeting)
        with Interrupts() as interrupts:
            daemon = self._daemon()
            deliveries, pending = interrupts.call(daemon, daemon.claim, identity, None, room)
            if not deliveries and not pending:
                self.tell(greeting)
                return
            # Imported here, because most hooks find no mail.
            from claude_mailbox.client.hooks.context.framing import frame
            from claude_mailbox.client.terminal.printing import print_mail

            is_proving = bool(self._transcript) or self._lines is not None
            text, shown = frame(deliveries, pending, None, room, with_marks=is_proving)
            rest = deliveries[len(shown) :]
            if rest:
                daemon.release([delivery.lease for delivery in rest], identity)
            if is_proving:
                from claude_mailbox.client.showing import report_shown

                leases = [delivery.lease for delivery in shown]
                report_shown(daemon, self._session, self._transcript, leases, "context")
            print_mail(
                self._output(greeting + text),
                shown,
                daemon=daemon,
                identity=identity,
                interrupts=interrupts,
                is_ack=not is_proving,
            )


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
