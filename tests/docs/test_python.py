"""docs/python.md and the README show the library as it is."""

import inspect
import re
import subprocess
import sys

import pytest

from claude_mailbox import Mailbox, Message
from claude_mailbox.library import LeaseLost, Receipt
from docs.markdown import table
from docs.pages import DOCS, README
from support.daemon import DaemonProcess

PYTHON = (DOCS / "python.md").read_text()


def shown(name: str, member: object) -> str:
    """Return a method as the page writes it."""
    parameters = inspect.signature(member).parameters.values()  # type: ignore[arg-type]
    words = [
        p.name if p.default is p.empty else f"{p.name}={p.default!r}"
        for p in parameters
        if p.name != "self"
    ]
    return f"{name}({', '.join(words)})"


def test_methods_of_mailboxes() -> None:
    """All are in the table, with their parameters and defaults, and no others."""
    methods = [
        shown(name, member)
        for name, member in vars(Mailbox).items()
        if callable(member) and not name.startswith("_")
    ]

    assert sorted(table(PYTHON, "Method").codes("Method")) == sorted(methods)
    assert f"`{shown('Mailbox', Mailbox.__init__)}`" in PYTHON


def test_messages() -> None:
    """Their methods, and their errors."""
    assert f"`{shown('extend', Message.extend)}`" in PYTHON
    for word in ("ack()", "release()", LeaseLost.__name__, Receipt.__name__):
        assert f"`{word}`" in PYTHON


@pytest.mark.parametrize("loop", ["trio", "asyncio"])
@pytest.mark.parametrize("page", ["README", "python"])
def test_example_runs_on_both_event_loops(daemon: DaemonProcess, page: str, loop: str) -> None:
    """It sends, follows, replies and acks."""
    found = re.search(
        r"```python\n(from claude_mailbox.*?)```",
        {"README": README, "python": PYTHON}[page],
        re.DOTALL,
    )
    assert found is not None
    assert len(found[1].strip().splitlines()) <= 10
    runner = (
        "import trio; trio.run(main)" if loop == "trio" else "import asyncio; asyncio.run(main())"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", f"{found[1]}\n{runner}"], env=daemon.environment
    )
    with Mailbox("frontend", url=daemon.url) as frontend:
        with frontend.watch(30) as message:
            assert (message.sender, message.body) == ("backend", "The API is ready.")
        answer = frontend.ask("backend", "Thank you.", 30)
        assert answer is not None
        answer.ack()
    process.kill()
    process.wait()

    assert answer.body == "Got it: Thank you."
