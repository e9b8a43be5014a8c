"""The units that `sealift-node watch --print-units` prints are ones that systemd takes."""

import re
import subprocess
from pathlib import Path

from tests.support.node import sealift_node


def test_systemd_takes_the_units_of_an_inbox(tmp_path: Path) -> None:
    printed = sealift_node("watch", tmp_path / "inbox", "--print-units").stdout
    parts = re.split(r"^# /etc/systemd/system/(\S+)\n", printed, flags=re.MULTILINE)[1:]
    files = [tmp_path / name for name in parts[::2]]
    for file, text in zip(files, parts[1::2], strict=True):
        file.write_text(text.replace("/usr/local/bin/sealift-node", "/bin/true"))
    assert [file.name for file in files] == ["sealift-inbox.path", "sealift-inbox.service"]
    done = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
