"""Mail to a project reaches the other sessions of its repository, without any set-up."""

import subprocess
from pathlib import Path

from e2e.conftest import Sessions
from e2e.harness.claude import Claude
from e2e.harness.mail import Mail
from e2e.harness.messages import Request, Text, ToolCall, call, quiet, say
from e2e.harness.model import Script
from e2e.harness.plugin import Peer

NEWS = "The interface of the cart has changed;"


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder."""
    identity = ("-c", "user.name=e2e", "-c", "user.email=e2e@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def test_sessions_of_a_repository_and_its_worktree_are_a_group(
    claude: Claude, mail: Mail, sessions: Sessions
) -> None:
    """Each other session is woken once, with one copy; the sender gets none."""
    mail.start()
    repository, worktree = claude.project("shop"), claude.project("shop-fix")
    claude.trust(repository, worktree)
    git(repository, "init")
    git(repository, "commit", "--allow-empty", "--message", "Begin")
    git(repository, "worktree", "add", str(worktree))

    def start(script: Script, folder: str) -> Peer:
        peer = sessions.start_peer(script, project=folder)
        peer.session.ask("Hello")
        return peer

    def telling(request: Request) -> Text | ToolCall:
        if "Tell the others." in request.news:
            return call("mailbox__send", to="@shop", body=NEWS)
        return say("All right.")

    sender = start(telling, "shop")
    others = [start(quiet, "shop"), start(quiet, "shop-fix")]
    spent = [len(each.model.requests) for each in others]
    sender.session.ask("Tell the others.")
    for other in others:
        assert f'From "{sender.name}" to "@shop"' in other.model.wait_for(NEWS).news
        other.session.wait_idle()
    for other, before in zip(others, spent, strict=True):
        assert len(other.model.requests) == before + 1
        other.assert_read_once(NEWS)
    assert mail.pending(sender.name) == 0
    assert f"  {NEWS}" not in sender.model.requests[-1].history
