"""How the descriptors of the process are shared out."""

import subprocess
import sys

import pytest

from claude_mailbox.daemon.http.descriptors import CONNECTIONS_LIMIT, share


@pytest.mark.parametrize("descriptors", [64, 256, 1024, 1_000_000])
def test_the_shares_leave_some_for_the_daemon_itself(descriptors: int) -> None:
    """However many there are; and nobody needs thousands of thousands."""
    each = share(descriptors, 2)

    assert 1 <= each <= CONNECTIONS_LIMIT
    assert 2 * each <= descriptors - 40


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits on Windows")
@pytest.mark.parametrize(("hard", "expected"), [(200, 200), (18_000, 16_384)])
def test_the_soft_limit_is_raised(hard: int, expected: int) -> None:
    """As far as it may be, and as far as it makes sense."""
    import resource

    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        pytest.skip("this process may not have so many")
    code = "from claude_mailbox.daemon.http.descriptors import raise_limit; print(raise_limit())"
    limits = f"ulimit -Sn 100; ulimit -Hn {hard}; exec"
    done = subprocess.run(
        ["/bin/sh", "-c", f'{limits} "$0" -c "$1"', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
    )

    assert int(done.stdout) == expected
