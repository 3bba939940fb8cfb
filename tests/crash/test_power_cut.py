"""The power goes at any moment, before, during and after a failure of the disk."""

import random
from pathlib import Path

import pytest

from crash.accepted import Mailer, check_power_cuts
from support.daemon import DaemonProcess
from support.faulty_disk import FaultyDisk

CUTS = 80


@pytest.mark.parametrize(
    ("operation", "file"),
    [
        ("sync", "-wal"),
        ("sync", ".db"),
        ("write", "-wal"),
        ("write", ".db"),
        ("short", ".db"),
        ("short", "-wal"),
    ],
    ids=lambda word: word.strip("-."),
)
def test_accepted_mail_survives_a_failure_of_the_disk_and_then_a_power_cut(
    scratch: Path, operation: str, file: str
) -> None:
    dice = random.Random(f"{operation} {file}")
    (scratch / "disk").mkdir()
    (scratch / "image").mkdir()
    disk = FaultyDisk(scratch / "disk", records=True)
    with (
        DaemonProcess(environment=disk.environment) as process,
        Mailer(process, disk, dice) as mailer,
    ):
        mailer.work(40)
        disk.fail(operation, file, after=dice.randrange(3), times=1)
        mailer.work(120)
        process.kill()
        mailer.start_again()
        mailer.work(20)
    assert len(mailer.promises.accepted) > 60
    cuts = check_power_cuts(disk, mailer.promises, scratch / "image", dice, limit=CUTS)
    assert cuts > CUTS / 2
