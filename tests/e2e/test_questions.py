"""A script asks an idle session: it hears the answer, or that none will come."""

import json
import re
import subprocess

import pytest

from e2e.conftest import Measure, Sessions
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.model import Model
from e2e.harness.waiting import TIMEOUT

QUESTION = "May I deploy?"
# A question that nobody means to answer ends when the session has been idle for a minute.
IDLE_TIMEOUT = 60 + TIMEOUT

pytestmark = pytest.mark.usefixtures("_running")


@pytest.fixture
def _running(mail: Mail) -> None:
    mail.start()


class Script:
    """What a build's script does: ``answer=$(claude-mailbox ask ...)``."""

    def __init__(self, mail: Mail, to: str, timeout: float) -> None:
        words = f'claude-mailbox ask --from ci --to {to} --body "{QUESTION}" --timeout {timeout:g}'
        self._process = subprocess.Popen(
            ["sh", "-c", f'answer=$({words}); code=$?; echo "<$answer>"; exit $code'],
            env=mail.process_environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, timeout: float = TIMEOUT) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, what it prints, and its errors."""
        try:
            printed, errors = self._process.communicate(timeout=timeout)
        finally:
            self._process.kill()
            self._process.wait()
        return self._process.returncode, printed.strip(), errors.strip()


def turns(model: Model, *, after: int) -> int:
    """Return how many turns were begun from request *after* on: a tool's result begins none."""
    requests = model.requests[after:]
    return sum("Mail has come for this session" in request.news for request in requests)


def test_a_question_wakes_a_session_whose_reply_answers_it(
    mail: Mail, sessions: Sessions, measure: Measure
) -> None:
    """The letter shows thread, question and deadline, and its id is enough for a reply."""

    def script(request: Request) -> Text | ToolCall:
        if QUESTION in request.news and (found := re.search(r", id (\d+)", request.news)):
            return call("mailbox__send", reply_to=int(found[1]), body="Yes, after 14:00")
        return say("All right.")

    peer = sessions.start_peer(script, project="backend")
    peer.session.ask("Hello")
    spent = len(peer.model.requests)
    asker = Script(mail, peer.name, timeout=600)
    letter = peer.model.wait_for(QUESTION).news
    assert asker.wait() == (0, "<Yes, after 14:00>", "")
    assert re.search(r'From "ci", \S+, id (\d+), a question: answer by 20\S+Z:\n  May I', letter)
    peer.session.wait_idle()
    assert turns(peer.model, after=spent) == 1
    peer.assert_read_once(QUESTION)


def test_the_reply_to_an_answer_shows_its_thread(mail: Mail, sessions: Sessions) -> None:
    """And which message it is about."""

    def script(request: Request) -> Text | ToolCall:
        if QUESTION in request.news and (found := re.search(r", id (\d+)", request.news)):
            return call("mailbox__send", reply_to=int(found[1]), body="Which branch?")
        return say("All right.")

    peer = sessions.start_peer(script, project="backend")
    peer.session.ask("Hello")
    asker = Script(mail, peer.name, timeout=600)
    assert asker.wait()[1] == "<Which branch?>"
    peer.session.wait_idle()
    (question, answer) = json.loads(mail.run("log", "--name", "ci", "--json"))
    mail.run("reply", str(answer["id"]), "--name", "ci", "--body", "The one of Monday.")
    letter = peer.model.wait_for("The one of Monday.").news
    assert f"about message {answer['id']} of thread {question['id']}" in letter


def test_a_session_that_goes_idle_without_an_answer_ends_the_question(
    mail: Mail, sessions: Sessions
) -> None:
    """It saw it, finished its turn, and has been idle for a minute."""
    peer = sessions.start_peer(quiet, project="backend")
    peer.session.ask("Hello")
    asker = Script(mail, peer.name, timeout=600)
    peer.model.wait_for(QUESTION)
    code, printed, errors = asker.wait(IDLE_TIMEOUT)
    assert (code, printed) == (1, "<>")
    assert errors.endswith(
        f" to '{peer.name}' will not be answered: it has seen the question, finished its turn and has"
        " been idle for a minute."
    )
    peer.session.wait_idle()
    assert turns(peer.model, after=0) == 1


def test_a_session_that_ends_without_an_answer_ends_the_question(
    mail: Mail, sessions: Sessions
) -> None:
    """Long before the time is over, also if it was killed."""
    peer = sessions.start_peer(quiet, project="backend")
    peer.session.ask("Hello")
    asker = Script(mail, peer.name, timeout=600)
    peer.model.wait_for(QUESTION)
    peer.session.kill()
    code, printed, errors = asker.wait()
    assert (code, printed) == (1, "<>")
    assert "will not be answered: its session has ended" in errors


def test_the_time_of_a_script_can_be_over_before_the_answer(mail: Mail, sessions: Sessions) -> None:
    """Then its exit code says so, and the answer comes to its mailbox."""

    def script(request: Request) -> Text | ToolCall:
        if "Answer it." in request.news and (found := re.search(r", id (\d+)", request.history)):
            return call("mailbox__send", reply_to=int(found[1]), body="Yes, after 14:00")
        return say("All right.")

    peer = sessions.start_peer(script, project="backend")
    peer.session.ask("Hello")
    asker = Script(mail, peer.name, timeout=0.1)
    code, printed, errors = asker.wait()
    assert (code, printed) == (3, "<>")
    assert "No answer yet to message" in errors
    peer.model.wait_for(QUESTION)
    peer.session.wait_idle()
    peer.session.ask("Answer it.")
    assert "Yes, after 14:00" in mail.run("check", "--name", "ci")


def test_a_question_without_an_answer_in_time_ends_with_a_notice(
    mail: Mail, sessions: Sessions
) -> None:
    """The session still works on it; the notice wakes the one that asked."""
    is_asked = False

    def asking(request: Request) -> Text | ToolCall:
        nonlocal is_asked
        if "Ask the other one." in request.news and not is_asked:
            is_asked = True
            return call("mailbox__send", to=asked.name, body=QUESTION, ask=3)
        return say("All right.")

    def working(request: Request) -> Text | ToolCall:
        if QUESTION in request.news:
            return call("Bash", command="sleep 300", description="Work")
        return say("All right.")

    asked = sessions.start_peer(working, project="backend")
    asker = sessions.start_peer(asking, project="frontend")
    asked.session.ask("Hello")
    asker.session.ask("Ask the other one.")
    asked.model.wait_for(QUESTION)
    notice = asker.model.wait_for("was not answered within 3 seconds").news
    assert "a notice of the mail system" in notice
    asker.session.wait_idle()
    asker.assert_read_once("was not answered within 3 seconds")
