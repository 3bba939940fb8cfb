"""Each recipe as the page has it, with the image of the repository's Dockerfile."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from docs.pages import DOCS
from support.commandline import CommandLine, until
from support.daemon import DaemonProcess
from support.network import NetworkDaemon

BLOCKS = re.findall(
    r"^```\w+\n(.*?)^```",
    (DOCS / "network.md").read_text().split("\n## In a container\n")[1],
    re.MULTILINE | re.DOTALL,
)
TEAM, MOUNTED_SOCKET, DEVCONTAINER = BLOCKS[:3]
AS_ROOT = "--rm --user root claude-mailbox"


@pytest.fixture(autouse=True)
def _containers() -> Iterator[None]:
    """Show what the containers say, and leave none, and no volume."""
    yield
    print(shell("for each in $(docker ps --all --quiet); do docker logs $each 2>&1; done"))
    shell("docker rm --force --all --time 0; docker volume prune --force")


def shell(script: str, environment: Mapping[str, str] | None = None) -> str:
    """Run a script of the page, and return what it prints."""
    done = subprocess.run(
        ["sh", "-ec", script],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_recipe_for_a_team_works(tmp_path: Path) -> None:
    """It is healthy, serves with TLS and tokens, and keeps its mail when the container is made anew."""
    certificates = NetworkDaemon()
    for name, key in (("cert.pem", "tlsCert"), ("key.pem", "tlsKey")):
        (tmp_path / name).write_bytes(Path(str(certificates.settings[key])).read_bytes())
    tmp_path.chmod(0o755)
    build, run, create_token = TEAM.replace("/etc/ssl/mail", str(tmp_path)).split("docker ")[1:]
    assert build == "build --tag claude-mailbox .\n"
    shell(f"docker {run}")
    until(lambda: "listens" in shell("docker logs mailbox"), "the daemon")
    shell("docker healthcheck run mailbox")
    token = shell(f"docker {create_token}").strip()
    assert token.startswith("cmb_")
    environment = {
        "CLAUDE_MAILBOX_HOME": str(tmp_path / "home"),
        "CLAUDE_MAILBOX_URL": "https://localhost:37849",
        "CLAUDE_MAILBOX_CA": str(certificates.authority),
        "CLAUDE_MAILBOX_TOKEN": token,
    }
    with CommandLine(certificates, environment) as there:
        sent = there.run("send", "--from", "web-a", "--to", "web-b", "--body", "kept")
        assert sent.returncode == 0, sent.stderr
        shell(f"docker rm --force --time 0 mailbox; docker {run}")
        until(lambda: there.run("status").returncode == 0, "the daemon")
        assert there.run("check", "--name", "web-b").stdout.endswith("Mail from web-a: kept\n")
    certificates.close()


def test_the_recipe_for_a_session_in_a_container_works(tmp_path: Path) -> None:
    """It uses the daemon outside by the socket that is mounted, with nothing else of the home."""
    with DaemonProcess() as process, CommandLine(process) as here:
        start = MOUNTED_SOCKET.strip().replace("~/.claude-mailbox", str(process.home))
        assert start.endswith(" ...")
        start = f"{start.removesuffix('...')}{AS_ROOT}"
        shell(f"{start} send --from inside --to outside --body 'from a container'")
        assert here.bodies("outside") == ["from a container"]
        here.send("inside", "from outside")
        assert shell(f"{start} check --name inside").endswith("Mail from peer: from outside\n")


def test_the_recipe_for_a_devcontainer_works(tmp_path: Path) -> None:
    """The same, with the tool that editors use."""
    tool = os.environ["MAILBOX_DEVCONTAINER"]
    if not os.access(tool, os.X_OK):
        pytest.skip("npm could not install the devcontainer tool")
    project = tmp_path / "project"
    (project / ".devcontainer").mkdir(parents=True)
    settings = json.loads(f"{{{DEVCONTAINER}}}")
    settings |= {"image": "localhost/claude-mailbox", "remoteUser": "root", "overrideCommand": True}
    (project / ".devcontainer" / "devcontainer.json").write_text(json.dumps(settings))
    docker = Path(__file__).with_name("bin") / "docker"
    folder = f"--workspace-folder {project} --docker-path {docker}"
    with DaemonProcess() as process, CommandLine(process) as here:
        (tmp_path / ".claude-mailbox").symlink_to(process.home)
        home = {"HOME": str(tmp_path)}
        shell(f"{tool} up {folder}", home)
        inside = f"{tool} exec {folder} claude-mailbox"
        shell(f"{inside} send --from inside --to outside --body 'from a devcontainer'", home)
        assert here.bodies("outside") == ["from a devcontainer"]
