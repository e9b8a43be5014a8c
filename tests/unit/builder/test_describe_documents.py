"""Documents about a bundle: every part once, named as scanners name it, deterministic, and nothing of the machine."""

import json
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from packageurl import PackageURL

from builder.buildroot.model import BASE_PACKAGES
from builder.describe import parts, purl, spdx
from builder.describe.bill import make_bill
from builder.describe.documents import describe
from builder.describe.model import Bill, Edge, Kind, Part, Relation
from builder.describe.receipts import MODULES, PACKAGES, SANDBOX, SOURCE, TEXTS, BuildFacts, licences_name
from builder.lock.model import LockedFile, LockedInput, LockedTool
from builder.plan.model import Output, Receipt, Step
from builder.recipe.model import (
    AssembleImage,
    CompileComponent,
    Fips,
    GoComponent,
    Placement,
    UserlandComponent,
)
from bundles.digest import Digest
from bundles.reference import Reference
from tests.support.stepping import AMD64, a_lock, a_recipe

H1 = "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="
H1_HEX = "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f"  # the example of in-toto's DigestSet
OWN = "LicenseRef-debian-c-own"
BIN = PurePosixPath("/bin")
PROGRAM, LIBRARY = Digest.of(b"program"), Digest.of(b"library")
IMAGE = AssembleImage(
    name="app",
    reference=Reference.parse("example.test/app:v1"),
    layers=(
        (Placement(component="tool", output=None, folder=BIN), Placement(component="c", output=None, folder=BIN)),
        (Placement(component="base", output=None, folder=PurePosixPath("/")),),
        (Placement(component="tool", output="tool", folder=PurePosixPath("/again")),),
    ),
)
TOOL = GoComponent(
    name="tool", module="Example.test/Tool", version="v1.2.3", folder=None, packages={"tool": ""}, cgo=True
)
C = CompileComponent(name="c", source="deb-source:c=1:2-3", version="1:2-3", run=(), output={"c": PurePosixPath("c")})
BASE = UserlandComponent(name="base", packages=("a=1:2.0+x~y-1",), files=("bin/a",))
GO: dict[str, Any] = {
    "version": "go1.26.8 X:boringcrypto",
    "main": "Example.test/Tool@v1.2.3",
    "modules": [
        {"path": "a.test/x", "version": "v1.0.0", "h1": H1},
        {"path": "fork.test/y", "version": "v2.0.0+incompatible", "h1": H1, "replaced": "a.test/y@v1.9.0"},
        {"path": "a.test/z", "version": "v0.3.0", "h1": H1, "replaced": "a.test/z@v0.2.0"},
        {"path": "./local", "replaced": "a.test/local@v0.0.1"},
    ],
}
PACKAGE = {"version": "1:2.0+x~y-1", "source": "aa", "source_version": "2.0-1", "architecture": "amd64"}


def facts(**changes: Any) -> BuildFacts:
    recipe = replace(a_recipe(Path("/nowhere"), TOOL, C, BASE, images=(IMAGE,), go="1.26.8"), archives={"x": ("app",)})
    lock = a_lock(
        LockedInput(
            component="base",
            source="deb:bookworm/a=1:2.0+x~y-1",
            files=(LockedFile(name="a.deb", size=1, digest=LIBRARY),),
        ),
        LockedInput(component="c", source="deb-source:bookworm/c=1:2-3"),
        LockedInput(component="tool", source="go:Example.test/Tool@v1.2.3", h1=H1),
    )
    receipts = {
        "component tool": Receipt(
            outputs={"tool": Output(digest=PROGRAM, size=7)}, facts={"programs": {"tool": {"go": GO}}}
        ),
        "component c": Receipt(outputs={"c": Output(digest=LIBRARY, size=7)}),
        "component base": Receipt(outputs={"bin/a": Output(digest=LIBRARY, size=7)}),
        licences_name("tool"): Receipt(outputs={}, facts={MODULES: {"a.test/x@v1.0.0": "MIT"}}),
        licences_name("c"): Receipt(outputs={}, facts={SOURCE: OWN, TEXTS: {OWN: "t"}}),
        licences_name("base"): Receipt(outputs={}, facts={PACKAGES: {"a": {**PACKAGE, "licence": "ISC"}}}),
    }
    tools = {"gcc": "4:12.2-3; gcc (Debian) 12.2.0", "libx-dev": "1.0-1"}
    steps = {
        name: Step(name=name, kind="x", version=1, description={"tools": tools} if name != "component base" else {})
        for name in receipts
    }
    values: dict[str, Any] = {
        "recipe": recipe,
        "lock": replace(lock, tools=(LockedTool(source="go-toolchain:1.26.8", h1=H1, size=1),)),
        "lock_digest": Digest.of(b"lock"),
        "platform": AMD64,
        "steps": steps,
        "ids": {name: Digest.of(name.encode()) for name in steps},
        "receipts": receipts,
        "sealift": "1.2",
    }
    return BuildFacts(**values | changes)


IMAGES = [(IMAGE.reference, Digest.of(b"manifest"))]


@pytest.fixture
def bill() -> Bill:
    return make_bill(facts(), "tiny", IMAGES)


def part(bill: Bill, key: str) -> Part:
    (found,) = (each for each in bill.parts if each.key == key)
    return found


def test_a_program_needs_its_modules_and_go_itself_and_comes_from_its_own_module(bill: Bill) -> None:
    program = "program:tool/tool"
    needs = {edge.target for edge in bill.edges if edge.subject == program and edge.relation is Relation.DEPENDS_ON}
    assert needs == {
        "go:stdlib@1.26.8",
        "go:a.test/x@v1.0.0",
        "go:fork.test/y@v2.0.0+incompatible for a.test/y@v1.9.0",
        "go:a.test/z@v0.3.0",
        "go:a.test/local@v0.0.1 for a.test/local@v0.0.1 (by a folder)",
    }
    assert Edge(subject=program, relation=Relation.GENERATED_FROM, target="go:Example.test/Tool@v1.2.3") in bill.edges
    assert part(bill, "go:Example.test/Tool@v1.2.3").notes == (("go:h1", H1),)
    assert part(bill, "go:a.test/x@v1.0.0").licence == "MIT"
    assert part(bill, program).notes == (("component", "tool"), ("path", "/again/tool"), ("path", "/bin/tool"))


def test_a_module_that_only_the_program_names_has_the_hash_that_it_says() -> None:
    beside = replace(TOOL, module=None, folder=PurePosixPath("src/tool"), packages={"tool": "Example.test/Tool/cmd"})
    known = facts()
    program = Receipt(
        outputs={"tool": Output(digest=PROGRAM, size=7)}, facts={"programs": {"tool": {"go": {**GO, "main_h1": H1}}}}
    )
    rest = [each for each in known.lock.inputs if each.component != "tool"]
    built = facts(
        recipe=replace(known.recipe, components={**known.recipe.components, "tool": beside}),
        lock=replace(known.lock, inputs=(*rest, LockedInput(component="tool", source="folder:src/tool"))),
        receipts={**known.receipts, "component tool": program},
    )
    assert part(make_bill(built, "tiny", IMAGES), "go:Example.test/Tool@v1.2.3").notes == (("go:h1", H1),)


def test_libraries_of_the_machine_are_linked_into_c_and_its_compilers_only_worked_on_it(bill: Bill) -> None:
    for program in ("program:c/c", "program:tool/tool"):
        assert Edge(subject=program, relation=Relation.STATIC_LINK, target="deb:libx-dev=1.0-1") in bill.edges
        assert Edge(subject="tool:gcc", relation=Relation.BUILD_TOOL_OF, target=program) in bill.edges
    assert part(bill, "tool:gcc").purl == "pkg:deb/debian/gcc@4:12.2-3?arch=amd64"
    assert (
        part(bill, "source:deb-source:bookworm/c=1:2-3").purl == "pkg:deb/debian/c@1:2-3?arch=source&distro=debian-12"
    )


def test_a_package_of_a_userland_is_in_the_image_with_its_source_and_its_distribution(bill: Bill) -> None:
    key = "deb:a=1:2.0+x~y-1"
    assert Edge(subject="image:example.test/app:v1", relation=Relation.CONTAINS, target=key) in bill.edges
    assert part(bill, key).purl == "pkg:deb/debian/a@1:2.0%2Bx~y-1?arch=amd64&distro=debian-12"
    assert (part(bill, key).licence, part(bill, key).notes) == ("ISC", (("deb:source", "aa=2.0-1"),))


@pytest.mark.parametrize(
    "text",
    [
        purl.golang("github.com/Azure/go-ansiterm", "v0.0.0-2023+incompatible"),
        purl.golang("gopkg.in/x y.v2", "v1 é%"),
        purl.debian("a+b", "2:1.0~rc1+dfsg-1", architecture="amd64", suite="bookworm"),
        purl.image(Reference.parse("rancher/x:t"), PROGRAM, "amd64"),
        purl.generic("chart", "1.0.0+b", PROGRAM),
    ],
)
def test_package_urls_are_what_the_reference_implementation_reads_and_writes(text: str) -> None:
    assert PackageURL.from_string(text).to_string() == text


def test_two_parts_whose_names_look_alike_have_different_spdx_ids() -> None:
    every = tuple(Part(key=f"go:a{sign}b@v1", kind=Kind.MODULE, name="a") for sign in "/-~_")
    bill = Bill(name="x", created=0, tool=("sealift", "1"), parts=every, edges=())
    ids = [each["SPDXID"] for each in json.loads(spdx.document(bill))["packages"]]
    assert len(set(ids)) == 4 and ids[0] == "SPDXRef-go-a-b-v1"


def test_the_same_facts_give_the_same_bytes_and_others_another_namespace_and_serial() -> None:
    one, two = describe(facts(), "tiny", IMAGES, {}), describe(facts(), "tiny", iter(IMAGES), {})
    other = describe(facts(sealift="1.3"), "tiny", IMAGES, {})
    assert one == two
    spdxs = [json.loads(each["sbom.spdx.json"])["documentNamespace"] for each in (one, other)]
    serials = [json.loads(each["sbom.cdx.json"])["serialNumber"] for each in (one, other)]
    assert spdxs[0] != spdxs[1] and serials[0] != serials[1]


def provenance(found: BuildFacts) -> Any:
    documents = describe(found, "tiny", IMAGES, {"images/x.tar": LIBRARY})
    return json.loads(documents["provenance.json"])


def test_provenance_names_its_subjects_what_was_locked_and_what_was_carried() -> None:
    said = provenance(facts())
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "https://slsa.dev/provenance/v1"
    names = [each["name"] for each in said["subject"]]
    assert names == ["example.test/app:v1", "images/x.tar", "sbom.cdx.json", "sbom.spdx.json"]
    dependencies = {
        each["name"]: each.get("digest") for each in said["predicate"]["buildDefinition"]["resolvedDependencies"]
    }
    assert dependencies["go:Example.test/Tool@v1.2.3"] == dependencies["go:a.test/x@v1.0.0"] == {"dirHash1": H1_HEX}
    assert dependencies["lock.yaml"] == {"sha256": Digest.of(b"lock").hex}
    assert dependencies["a.deb"] == {"sha256": LIBRARY.hex} and "go-toolchain:1.26.8" in dependencies


def test_one_step_without_a_sandbox_is_told_and_makes_another_bundle() -> None:
    before = facts()
    open_step = replace(before.receipts["component c"], facts={SANDBOX: "none"})
    after = facts(receipts={**before.receipts, "component c": open_step})
    told = [
        provenance(each)["predicate"]["buildDefinition"]["internalParameters"]["sandbox"] for each in (before, after)
    ]
    assert told == ["network namespace", "none"] and before.identity() != after.identity()


def test_provenance_holds_no_time_and_no_place() -> None:
    text = json.dumps(provenance(facts()))
    assert not [
        word for word in ("startedOn", "finishedOn", "invocationId", "/nowhere", str(Path.home())) if word in text
    ]


def test_a_tool_whose_version_is_not_debians_is_no_debian_package() -> None:
    assert parts.host_package("gcc", "gcc (GCC) 14.1.0", "amd64").purl == "pkg:generic/gcc@gcc%20%28GCC%29%2014.1.0"


def test_the_crypto_that_was_found_stands_in_sbom_and_provenance_where_the_recipe_asks_for_some() -> None:
    made = facts()
    tool = {**GO, "crypto": "off"}
    receipts = {**made.receipts, "component tool": replace(
        made.receipts["component tool"], facts={"programs": {"tool": {"go": tool}}})}  # fmt: skip
    own = replace(TOOL, fips=Fips.OFF, fips_reason="it is a toy")
    recipe = replace(made.recipe, components={**made.recipe.components, "tool": own}, fips=Fips.BORINGCRYPTO)
    asked = replace(made, recipe=recipe, receipts=receipts)
    notes = dict(part(make_bill(asked, "tiny", IMAGES), "program:tool/tool").notes)
    assert notes["go:crypto"] == "off" and notes["go:crypto-because"] == "it is a toy"
    said = provenance(asked)
    assert said["predicate"]["buildDefinition"]["internalParameters"]["crypto"] == {"tool/tool": "off"}
    plain = dict(part(make_bill(made, "tiny", IMAGES), "program:tool/tool").notes)
    assert not {name for name in plain if "crypto" in name}  # a bundle without: the same bytes as ever


def test_what_a_build_root_compiled_with_is_told_from_the_lock() -> None:
    made = facts()
    step = made.steps["component c"]
    steps = {**made.steps, "component c": replace(step, description={"tools": {"buildroot": "sha256:any"}})}
    packages = tuple(
        LockedInput(
            component="base",
            source=f"deb:bookworm/{name}=1:2-3",
            files=(LockedFile(name=f"{name}_2-3_amd64.deb", size=1, digest=LIBRARY),),
        )
        for name in (*BASE_PACKAGES, "dpkg-dev")
    )
    recipe = replace(made.recipe, buildroot="bookworm")
    within = replace(made, recipe=recipe, steps=steps, lock=replace(made.lock, buildroot=packages))
    assert within.tools("c") == {"binutils": "1:2-3", "gcc": "1:2-3", "libc6-dev": "1:2-3"}
    assert within.sandbox == "build root bookworm" and made.sandbox == "network namespace"
