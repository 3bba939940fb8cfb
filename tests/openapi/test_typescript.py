"""A client in TypeScript, with types that openapi-typescript makes of the document."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.mcp.toolchain import Node, NotToBeHad
from support.daemon import DaemonProcess

FOLDER = Path(__file__).parent / "node"


def test_generated_client_sends_and_receives(daemon: DaemonProcess, tmp_path: Path) -> None:
    """Its types are checked by the compiler, then it runs."""
    try:
        node = Node()
        packages = node.packages(FOLDER)
    except NotToBeHad as reason:
        pytest.skip(str(reason))
    for path in FOLDER.iterdir():
        shutil.copy(path, tmp_path)
    modules = packages / "node_modules"
    (tmp_path / "node_modules").symlink_to(modules)

    def run(*arguments: object) -> str:
        command = [*node.command, *map(str, arguments)]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    url = f"{daemon.url}/openapi.json"
    run(modules / "openapi-typescript/bin/cli.js", url, "-o", tmp_path / "schema.d.ts")
    run(modules / "typescript/bin/tsc", "--project", tmp_path)
    said = json.loads(run(tmp_path / "client.ts", daemon.url))

    assert said == {
        "id": 1,
        "from": "alice",
        "body": "Hello from TypeScript",
        "done": 1,
        "state": "delivered",
    }
