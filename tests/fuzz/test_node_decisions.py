"""What a node decides from what it is told: any settings, any versions, any files."""

from pathlib import Path, PurePosixPath

import yaml
from hypothesis import given
from hypothesis import strategies as st

from bundles.errors import Problem
from runtime.arguments import command_line
from runtime.manifests import plan_manifests
from runtime.nodeconf.keys import REFUSED, USED, WITHOUT_EFFECT
from runtime.nodeconf.parse import parse
from runtime.nodeconf.read import parse_text
from runtime.nodeconf.settings import Setting, merge
from runtime.versions import names_in_use, plan_removal
from tests.fuzz.model import taken
from tests.fuzz.strategies import ADDRESSES, NETWORKS, WORDS, references
from tests.support.nodes import MACHINE, node_paths, static_pods

ROOT = Path("/node")
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=10)
KEYS = st.sampled_from(sorted({*USED, *REFUSED, *WITHOUT_EFFECT})) | WORDS
VALUES = st.one_of(
    ADDRESSES, NETWORKS, references(), WORDS, TEXTS, st.sampled_from(["true", "false", "a=b:NoSchedule", "1-2"])
)
SETTINGS = st.dictionaries(KEYS, st.lists(VALUES, max_size=3).map(tuple), max_size=5)
GOOD = st.fixed_dictionaries(
    {},
    optional={
        "node-name": st.from_regex(r"[a-z0-9]{1,9}", fullmatch=True).map(lambda text: (text,)),
        "node-ip": st.ip_addresses(v=4, network="198.18.0.0/15").map(lambda address: (str(address),)),
        "tls-san": st.lists(ADDRESSES, max_size=3).map(tuple),
        "etcd-image": references().map(lambda text: (text,)),
        "debug": st.sampled_from([("true",), ("false",)]),
    },
)


def settings_of(values: dict[str, tuple[str, ...]]) -> dict[str, Setting]:
    """As one file has them."""
    return {key: Setting(given, "config.yaml:1") for key, given in values.items()}


@given(SETTINGS)
def test_any_settings_are_taken_or_every_problem_is_told(values: dict[str, tuple[str, ...]]) -> None:
    taken(parse, settings_of(values), role="server", paths=node_paths(ROOT), machine=MACHINE, where="config.yaml")


@given(GOOD)
def test_good_settings_are_taken_and_make_every_static_pod(values: dict[str, tuple[str, ...]]) -> None:
    parsed = parse(settings_of(values), role="server", paths=node_paths(ROOT), machine=MACHINE, where="config.yaml")
    assert len(static_pods(parsed.config)) == 6
    assert set(values.get("tls-san", ())) <= set(parsed.config.tls_sans)


@given(st.dictionaries(WORDS, st.lists(TEXTS, min_size=1, max_size=3), max_size=4))
def test_a_configuration_file_is_read_as_it_was_typed(values: dict[str, list[str]]) -> None:
    problems: list[Problem] = []
    found = parse_text(yaml.safe_dump(values, allow_unicode=True), "config.yaml", problems)
    assert not problems
    assert {key: list(setting.values) for key, setting in found.items()} == values


@given(SETTINGS, SETTINGS)
def test_later_settings_win_and_added_ones_stay_behind(
    before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]
) -> None:
    merged = merge(settings_of(before), settings_of({f"{key}+": value for key, value in after.items()}))
    for key, values in after.items():
        assert merged[key].values == (*before.get(key, ()), *values)
    assert merge(settings_of(before), settings_of(after)).items() >= settings_of(after).items()


ARGUMENTS = st.dictionaries(st.from_regex(r"[a-z]{1,4}", fullmatch=True), TEXTS, max_size=4)


@given(ARGUMENTS, ARGUMENTS)
def test_an_administrators_argument_takes_the_place_of_ours(ours: dict[str, str], extra: dict[str, str]) -> None:
    words = command_line(ours, [f"{name}={text}" for name, text in extra.items()])
    assert list(words) == [f"--{name}={text}" for name, text in sorted((ours | extra).items())]
    appended = command_line(ours, [f"{name}+={text}" for name, text in extra.items()])
    assert set(appended) == {
        f"--{name}={','.join(part for part in (ours.get(name), extra.get(name)) if part is not None)}"
        for name in ours.keys() | extra.keys()
    }


@given(st.lists(WORDS | WORDS.map(lambda word: f"v1{word}")), WORDS, st.lists(WORDS.map(lambda word: f"v1{word}")))
def test_a_version_that_runs_is_never_removed(names: list[str], current: str, running: list[str]) -> None:
    programs = [PurePosixPath("/data", name, "bin", "x") for name in running]
    used = names_in_use([PurePosixPath("/data"), PurePosixPath("/other")], programs)
    removed = plan_removal(names=names, current=current, in_use=used)
    assert set(removed) <= set(names) and not set(removed) & {current, *running}
    assert all(name.startswith("v") for name in removed)


@given(
    st.dictionaries(WORDS, st.binary(max_size=2), max_size=4), st.dictionaries(WORDS, st.binary(max_size=2), max_size=4)
)
def test_manifests_that_are_there_already_are_not_written_again(
    charts: dict[str, bytes], present: dict[str, bytes]
) -> None:
    names = plan_manifests(charts, present)
    assert plan_manifests(charts, present | {name: charts[name] for name in names}) == ()
    assert {name for name in charts if present.get(name) != charts[name]} == set(names)
