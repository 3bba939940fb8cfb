"""Many at once, over real sockets."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from wire.conftest import Fresh
from wire.connection import Address
from wire.mail import Mail

pytestmark = pytest.mark.parametrize("callers", [8])


def test_concurrent_checks_share_the_mail(address: Address, fresh: Fresh, callers: int) -> None:
    """Each message goes to exactly one caller, and each caller's are in order."""
    name = fresh("me")
    with Mail(address) as mail:
        sent = [mail.send("sender", name, str(number))["id"] for number in range(200)]
    barrier = threading.Barrier(callers)

    def drain() -> list[int]:
        with Mail(address) as mail:
            barrier.wait()
            taken: list[int] = []
            while messages := mail.check(name, limit=3):
                taken += [message["id"] for message in messages]
            return taken

    with ThreadPoolExecutor(callers) as pool:
        shares = [future.result() for future in [pool.submit(drain) for _ in range(callers)]]

    assert sorted(number for share in shares for number in share) == sent
    assert all(share == sorted(share) for share in shares)


def test_senders_watchers_and_checkers(address: Address, fresh: Fresh, callers: int) -> None:
    """Mail is sent while some watch and some check: nothing twice, nothing missing."""
    name = fresh("me")
    each = 40
    is_sent = threading.Event()

    def send(sender: str) -> list[int]:
        with Mail(address) as mail:
            return [mail.send(sender, name, str(number))["id"] for number in range(each)]

    def receive(number: int) -> list[int]:
        with Mail(address) as mail:
            taken: list[int] = []
            while True:
                was_sent = is_sent.is_set()
                if number % 2:
                    message = mail.watch(name, timeout=0.05)
                    messages = [message] if message else []
                else:
                    messages = mail.check(name)
                taken += [message["id"] for message in messages]
                if was_sent and not messages:
                    return taken

    with ThreadPoolExecutor(2 * callers) as pool:
        receivers = [pool.submit(receive, number) for number in range(callers)]
        senders = [pool.submit(send, fresh("sender")) for _ in range(callers)]
        sent = [number for future in senders for number in future.result()]
        is_sent.set()
        taken = [number for future in receivers for number in future.result()]

    assert Counter(taken) == Counter(sent)


def test_each_sender_is_in_order(address: Address, fresh: Fresh, callers: int) -> None:
    """Whatever goes on beside, one sender's messages arrive as they were sent."""
    name = fresh("me")

    def send(sender: str) -> None:
        with Mail(address) as mail:
            for number in range(50):
                mail.send(sender, name, str(number))

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(send, [fresh("sender") for _ in range(callers)]))
    with Mail(address) as mail:
        messages = mail.check(name)

    assert [message["id"] for message in messages] == sorted(m["id"] for m in messages)
    for sender in {message["from"] for message in messages}:
        bodies = [message["body"] for message in messages if message["from"] == sender]
        assert bodies == [str(number) for number in range(50)]


def test_renames_lose_nothing(address: Address, fresh: Fresh, callers: int) -> None:
    """A mailbox changes its name over and over while others write to its first one."""
    first = fresh("name")
    names = [first]
    is_sent = threading.Event()

    def send(sender: str) -> list[int]:
        with Mail(address) as mail:
            return [mail.send(sender, first, "x")["id"] for _ in range(30)]

    def rename() -> list[int]:
        with Mail(address) as mail:
            taken = [message["id"] for message in mail.check(first)]
            while not is_sent.is_set():
                names.append(fresh("name"))
                mail.rename(names[-2], names[-1])
                taken += [message["id"] for message in mail.check(names[-1], limit=5)]
            return taken + [message["id"] for message in mail.check(names[0])]

    with ThreadPoolExecutor(callers + 1) as pool:
        renaming = pool.submit(rename)
        senders = [pool.submit(send, fresh("sender")) for _ in range(callers)]
        sent = [number for future in senders for number in future.result()]
        is_sent.set()
        taken = renaming.result()

    assert sorted(taken) == sorted(sent)
