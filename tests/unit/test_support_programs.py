"""The fakes of tests/support/programs.py and golab.py do what the tests believe."""

import io
import subprocess
import zipfile
from pathlib import Path

from tests.support.golab import GoLab
from tests.support.programs import FakePrograms, ModuleProxy, module_zip


def test_a_fake_program_runs_and_remembers_its_arguments(tmp_path: Path) -> None:
    programs = FakePrograms(tmp_path / "bin")
    programs.add("greet", "echo hello $1; exit 3")
    environment = programs.environment(MORE="1")
    done = subprocess.run(["greet", "you", "all"], env=environment, capture_output=True, check=False)
    assert (done.stdout, done.returncode) == (b"hello you\n", 3)
    assert programs.calls("greet") == ["you all"] and programs.calls("other") == []
    assert environment["MORE"] == "1" and environment["PATH"].startswith(str(tmp_path))


def test_a_module_proxy_lies_as_go_asks_for_it(tmp_path: Path) -> None:
    proxy = ModuleProxy(tmp_path)
    proxy.add("a.test/x", "v1.0.0", {"x.go": "package x\n"})
    served = tmp_path / "a.test/x/@v"
    assert sorted(path.name for path in served.iterdir()) == ["list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip"]
    assert (served / "v1.0.0.mod").read_text() == "module a.test/x\n"
    assert proxy.url == f"file://{tmp_path}"


def test_a_module_zip_has_the_same_bytes_every_time() -> None:
    data = module_zip("a.test/x", "v1.0.0", {"b": "2", "a": "1"})
    assert data == module_zip("a.test/x", "v1.0.0", {"a": "1", "b": "2"})
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["a.test/x@v1.0.0/a", "a.test/x@v1.0.0/b"]


def test_the_lab_serves_an_application_to_the_real_go(tmp_path: Path) -> None:
    lab = GoLab(tmp_path)
    environment = {**lab.environment, "GOMODCACHE": str(tmp_path / "mod"), "GOFLAGS": "-modcacherw"}
    command = ["go", "mod", "download", "example.test/app@v1.2.0"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert (tmp_path / "mod/example.test/app@v1.2.0/cmd/app/main.go").exists()
