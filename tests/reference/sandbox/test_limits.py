"""What the kernel refuses a confined process: each act is tried in a child, under the limits that a stranger has."""

import os
import subprocess
import sys

import pytest

from scratchproof.sandbox.limits import landlock_version

TRY = """
import os, sys
from pathlib import Path
from scratchproof.sandbox.limits import Limits, confine
inside, outside = map(Path, sys.argv[1:])
confine(Limits(memory=2**28, written=2**20, processes=4), inside)
try:
    {act}
except (OSError, MemoryError) as error:
    print(type(error).__name__)
else:
    print("done")
"""
ACTS = {
    "write inside": ("(inside / 'a').write_text('x')", "done"),
    "read outside": ("(outside / 'there').read_text()", "done"),
    "change outside": ("(outside / 'there').write_text('x')", "PermissionError"),
    "make outside": ("(outside / 'new').mkdir()", "PermissionError"),
    "remove outside": ("(outside / 'there').unlink()", "PermissionError"),
    "signal the parent": ("os.kill(os.getppid(), 0)", "PermissionError"),
    "become root again": ("os.setuid(0)", "PermissionError" if os.geteuid() == 0 else None),
    "too large a file": (
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); (inside / 'a').write_bytes(bytes(2**21))",
        "OSError",
    ),
    "too much memory": ("bytearray(2**29)", "MemoryError"),
    "too many processes": (
        "import time; [os.fork() or time.sleep(5) or os._exit(0) for _ in range(6)]",
        "BlockingIOError",
    ),
}


WALLED = os.geteuid() == 0 or landlock_version() >= 6


@pytest.mark.parametrize(
    "name", [name for name, (_, told) in ACTS.items() if told and (WALLED or told != "PermissionError")]
)
def test_a_confined_process_is_refused(tmp_path, name):
    act, told = ACTS[name]
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "there").write_text("as it was")
    program = [sys.executable, "-c", TRY.format(act=act), str(inside), str(outside)]
    found = subprocess.run(program, capture_output=True, text=True, check=False)
    assert found.stdout.split() == [told], found.stderr
    assert sorted(path.name for path in outside.iterdir()) == ["there"]
    assert (outside / "there").read_text() == "as it was"


@pytest.mark.parametrize(("pattern", "told"), [("devic[e]", "done"), ("another", "PermissionError")])
def test_devices_that_are_named_can_be_written_to(tmp_path, pattern, told):
    if landlock_version() < 1 and told != "done":
        pytest.skip("the kernel has no Landlock")
    tmp_path.chmod(0o755)
    device, inside = tmp_path / "device", tmp_path / "inside"
    inside.mkdir()
    device.touch()
    device.chmod(0o666)
    text = TRY.replace("Limits(", "Limits(devices=(sys.argv[2],), ").format(
        act=f"open({str(device)!r}, 'r+').write('x')"
    )
    program = [sys.executable, "-c", text, str(inside), str(tmp_path / pattern)]
    found = subprocess.run(program, capture_output=True, text=True, check=False)
    assert found.stdout.split() == [told], found.stderr
