"""The checks every program of a bundle has to pass, and the facts that are kept of it."""

from dataclasses import dataclass
from typing import Any

from builder.facts.elf import PROGRAM_TYPES, ElfFacts, elf_facts
from builder.facts.gobinary import GoFacts, go_facts, said_mode, without_build_information
from bundles.platform import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What a program must be: `version` is a text its bytes must hold (empty: none); `go`, `crypto` and
    `main_h1` (keep the hash of the main module, which no lock has) for Go only.
    """

    platform: Platform
    static: bool = True
    version: str = ""
    go: str = ""
    crypto: str = "off"
    main_h1: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The facts as JSON values, and what is wrong in words (empty: nothing)."""

    facts: dict[str, Any]
    wrong: tuple[str, ...]


def check_program(content: bytes, want: Expectation) -> Checked:
    """A file's bytes -> facts, and all that is not as it must be."""
    elf = elf_facts(content)
    if elf is None:
        return Checked(facts={}, wrong=("it is not an ELF program",))
    wrong = _elf_wrong(elf, want)
    if want.version and want.version.encode() not in without_build_information(content):
        wrong.append(f"its version {want.version} is nowhere in it: is the stamp's path right?")
    facts: dict[str, Any] = {
        "elf": {
            "machine": want.platform.architecture if elf.machine == want.platform.elf_machine else elf.machine,
            "bits": elf.bits,
            "type": elf.type,
            "static": elf.static,
            "stripped": elf.stripped,
        }
    }
    if elf.needed or elf.interpreter:
        facts["elf"] |= {"interpreter": elf.interpreter, "needed": list(elf.needed)}
    if want.version:
        facts["version"] = want.version
    go = go_facts(content)
    if want.go:
        wrong += _go_wrong(go, want)
        wrong += [] if elf.stripped else ["it is not stripped"]
    if go is not None:
        facts["go"] = _go_document(go)
        if want.main_h1 and go.main is not None and go.main.h1:
            facts["go"]["main_h1"] = go.main.h1
    return Checked(facts=facts, wrong=tuple(wrong))


def _elf_wrong(elf: ElfFacts, want: Expectation) -> list[str]:
    wrong = []
    if elf.machine != want.platform.elf_machine or elf.bits != 64:
        wrong.append(f"it is for ELF machine {elf.machine} ({elf.bits} bits), not for {want.platform}")
    if elf.type not in PROGRAM_TYPES.values():
        wrong.append(f"it is no program, its ELF type is {elf.type}")
    if want.static and elf.interpreter:
        wrong.append(f"it is not static: it needs the loader {elf.interpreter}")
    if want.static and elf.needed:
        wrong.append(f"it is not static: it needs {', '.join(elf.needed)}")
    return wrong


def _go_wrong(go: GoFacts | None, want: Expectation) -> list[str]:
    if go is None:
        return ["it carries no Go build information"]
    wrong = []
    if go.go.partition("-")[0] != f"go{want.go}":
        wrong.append(f"it was compiled by {go.go}, not by go{want.go}")
    if go.crypto != want.crypto and (go.crypto, said_mode(go.settings)) != ("none", want.crypto):
        wrong.append(f"its crypto is {go.crypto}, not {want.crypto}")
    return wrong


def _go_document(go: GoFacts) -> dict[str, Any]:
    return {
        "version": go.go,
        "package": go.package,
        "crypto": go.crypto,
        "main": f"{go.main.path}@{go.main.version}" if go.main else "",
        "modules": [
            {
                name: value
                for name, value in (
                    ("path", module.path),
                    ("version", module.version),
                    ("h1", module.h1),
                    ("replaced", module.replaced),
                )
                if value
            }
            for module in go.modules
        ],
        "settings": dict(sorted(go.settings.items())),
    }
