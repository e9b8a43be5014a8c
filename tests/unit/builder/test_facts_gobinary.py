"""Facts of Go programs, against what `go version -m` says of the same file."""

import os
import subprocess
from pathlib import Path

import pytest

from builder.facts.gobinary import GoFacts, crypto_mode, go_facts, holds_crypto, without_build_information
from builder.facts.program import Expectation, check_program
from bundles.platform import Platform
from tests.support.gotools import go_program, store_root
from tests.support.programs import ModuleProxy
from tests.support.stepping import go_version, write_tree

AMD64 = Platform.parse("linux/amd64")


def go(arguments: list[str], folder: Path, proxy: ModuleProxy) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GOPROXY": proxy.url,
        "GONOSUMDB": "*",
        "GOFLAGS": "-modcacherw",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GOCACHE": str(store_root() / "test-tools/go-build"),
        "GOMODCACHE": str(folder / "modules"),
    }
    command = [str(go_program()), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dependencies, one of them replaced by another version."""
    folder = tmp_path_factory.mktemp("go")
    proxy = ModuleProxy(folder / "proxy")
    for name, version in (("alpha", "v1.0.0"), ("alpha", "v1.2.0"), ("beta", "v0.1.0")):
        module = f"example.test/{name}"
        text = {"go.mod": f"module {module}\n\ngo 1.21\n", "it.go": f'package {name}\n\nconst Word = "{name}"\n'}
        proxy.add(module, version, text)
    write_tree(
        folder / "source",
        {
            "go.mod": "module example.test/app\n\ngo 1.21\n\n"
            "require (\n\texample.test/alpha v1.0.0\n\texample.test/beta v0.1.0\n)\n\n"
            "replace example.test/alpha => example.test/alpha v1.2.0\n",
            "cmd/app/main.go": 'package main\n\nimport (\n\t"example.test/alpha"\n\t"example.test/beta"\n)\n\n'
            'var Version = "unset"\n\nfunc main() { println(alpha.Word, beta.Word, Version) }\n',
        },
    )
    go(["mod", "tidy"], folder / "source", proxy)
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.Version=v0.1.0", "-tags", "netgo,osusergo"]
    go(["build", *flags, "-o", str(folder / "app"), "./cmd/app"], folder / "source", proxy)
    return folder / "app"


@pytest.fixture(scope="session")
def facts(program: Path) -> GoFacts:
    found = go_facts(program.read_bytes())
    assert found is not None
    return found


def test_every_line_of_go_version_is_known(program: Path, facts: GoFacts) -> None:
    said = subprocess.run(
        [str(go_program()), "version", "-m", str(program)], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    lines = [f"{program}: {facts.go}", f"\tpath\t{facts.package}"]
    assert facts.main is not None
    lines.append(f"\tmod\t{facts.main.path}\t{facts.main.version}\t{facts.main.h1}")
    for module in facts.modules:
        if module.replaced:
            lines.append("\tdep\t{}\t{}".format(*module.replaced.split("@")))
            lines.append(f"\t=>\t{module.path}\t{module.version}\t{module.h1}")
        else:
            lines.append(f"\tdep\t{module.path}\t{module.version}\t{module.h1}")
    lines += [f"\tbuild\t{name}={value}" for name, value in facts.settings.items()]
    assert [line.rstrip("\t") for line in said if line.strip()] == [line.rstrip("\t") for line in lines]


def test_modules_carry_their_sums_and_what_they_replace(facts: GoFacts) -> None:
    alpha, beta = facts.modules
    assert (alpha.path, alpha.version, alpha.replaced) == ("example.test/alpha", "v1.2.0", "example.test/alpha@v1.0.0")
    assert beta.version == "v0.1.0" and alpha.h1.startswith("h1:") and beta.h1.startswith("h1:")
    assert facts.settings["-tags"] == "netgo,osusergo"
    assert facts.crypto == "off"


def test_a_version_that_only_the_module_list_holds_is_no_stamp(program: Path) -> None:
    content = program.read_bytes()
    assert b"v1.2.0" in content
    assert b"v1.2.0" not in without_build_information(content)
    want = Expectation(platform=AMD64, go=go_version(), version="v1.2.0")
    assert "v1.2.0 is nowhere in it" in check_program(content, want).wrong[0]
    assert check_program(content, Expectation(platform=AMD64, go=go_version(), version="v0.1.0")).wrong == ()


def test_a_program_of_another_compiler_or_with_other_crypto_is_refused(program: Path) -> None:
    content = program.read_bytes()
    wrong = check_program(content, Expectation(platform=AMD64, go="1.1.1", crypto="boringcrypto")).wrong
    assert wrong == (
        f"it was compiled by go{go_version()}, not by go1.1.1",
        "its crypto is off, not boringcrypto",
    )


def test_build_lines_that_the_bytes_do_not_bear_out_are_unclear(program: Path) -> None:
    content = program.read_bytes() + b"\0crypto/sha256.New\0"
    assert crypto_mode(content, {"GOEXPERIMENT": "boringcrypto"}) == "unclear"
    assert crypto_mode(content, {"GOFIPS140": "v1.0.0-c2097c7c"}) == "unclear"
    assert crypto_mode(content + b"crypto/internal/fips140/v1.0.0", {}) == "unclear"


def test_a_program_without_any_crypto_bears_out_every_build_line(program: Path) -> None:
    content = program.read_bytes()
    assert not holds_crypto(content)
    assert crypto_mode(content, {"GOEXPERIMENT": "boringcrypto"}) == "none"
    assert crypto_mode(content, {"GOFIPS140": "v1.0.0-c2097c7c"}) == "none"
    assert crypto_mode(content, {}) == "off"
    foreign = b"golang.org/x/crypto/ssh.Dial\0crypto/internal/fips140deps/x.y\0crypto/subtle.XORBytes\0"
    assert crypto_mode(content + foreign, {"GOEXPERIMENT": "boringcrypto"}) == "none"


def test_what_is_no_go_program_has_no_facts(program: Path) -> None:
    assert go_facts(b"") is None
    assert go_facts(b"\xff Go buildinf:") is None
    content = program.read_bytes()
    at = content.index(b"\xff Go buildinf:")
    assert go_facts(content[: at + 40]) is None  # cut inside the strings
    endless = content[: at + 32] + b"\xff" * 64
    assert go_facts(endless) is None


def test_the_magic_as_somebodys_constant_is_passed_over(program: Path, facts: GoFacts) -> None:
    decoy = b"\xff Go buildinf:\x08\x02" + bytes(16) + b"\xff\xff\xff\xff\x7f" + bytes(11)
    assert go_facts(decoy + program.read_bytes()) == facts
