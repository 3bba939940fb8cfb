"""``doctor --bundle``: a file for a bug report, without anybody's mail."""

import zipfile
from pathlib import Path

from support.commandline import CommandLine
from support.daemon import DaemonProcess


def test_has_what_helps_and_no_mail(daemon: DaemonProcess, tmp_path: Path) -> None:
    """Findings, configuration, system; neither a message's text nor the secret."""
    file = tmp_path / "report.zip"
    with (daemon.home / "daemon.log").open("a") as log:
        log.write("cannot reach postgresql://ada:hunter2@db.example/mail\n")
    with CommandLine(daemon) as line:
        line.send("bob", "a body that is private")
        line.run("doctor", "--bundle", str(file))
        again = line.run("doctor", "--bundle", str(file))

    with zipfile.ZipFile(file) as bundle:
        contents = {name: bundle.read(name) for name in bundle.namelist()}
    assert {"checks.json", "system.json", "mailbox.json", "mailbox.lock"} <= contents.keys()
    everything = b"".join(contents.values())
    assert b"hunter2" not in everything
    assert b"a body that is private" not in everything
    assert (daemon.home / "secret").read_bytes() not in everything
    assert file.stat().st_mode & 0o077 == 0
    assert again.returncode == 1, "it overwrites nothing"
