"""Only YAML that every reader understands alike gets in."""

import pytest

from builder.recipe.yamlnodes import MAX_DEPTH, MAX_SIZE, Mapping, Scalar, parse_nodes, surprise

SURPRISES = "y n Yes NO on Off TRUE false ~ null = << 2024-01-01 22:22 190:20:30"
NUMBERS = "012 0o14 0x1F 0b1 1_000 1.10 .5 1e3 -1 +1 .inf .NaN"
ORDINARY = "v1.10 1.2.3 1.26.8 10.43.0.10 65535:65535 a:b 0.1.0-r1 sha256:00 /bin . $version"


@pytest.mark.parametrize("text", f"{SURPRISES} {NUMBERS}".split())
def test_plain_texts_that_some_reader_takes_for_something_else_are_known(text: str) -> None:
    assert surprise(text)


@pytest.mark.parametrize("text", ORDINARY.split())
def test_ordinary_texts_need_no_quotes(text: str) -> None:
    assert not surprise(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "f.yaml:2:a: the key stands twice, first in line 1"),
        ("a: &x 1\n", "f.yaml:1: an anchor"),
        ("a: *x\n", "an alias"),
        ("a: !!int 1\n", "f.yaml:1: a tag"),
        ("<<: {a: 1}\n", "f.yaml:1:<<: a merge key"),
        ("on: 1\n", "f.yaml:1:on: some YAML readers take this key for a truth value"),
        ("1.10: 1\n", "for a number"),
        ("? [a]\n: b\n", "a key must be a word"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2: a second document"),
        ("%YAML 1.1\n---\na: 1\n", "f.yaml:1: a % directive"),
        ("a: [1\n", "not YAML"),
        ("a: b: c\n", "not YAML"),
        ("\ta: 1\n", "not YAML"),
        ("a: \x07\n", "not YAML"),
        ("[" * (MAX_DEPTH + 1), "nested deeper"),
        ("- " * 100_000, "nested deeper"),
        ("\ufeffa: 1\n", "byte order mark"),
        ("#" * (MAX_SIZE + 1), "larger than"),
    ],
)
def test_what_readers_understand_differently_is_refused_with_its_line(text: str, says: str) -> None:
    _, problems = parse_nodes(text.encode(), "f.yaml")
    assert says in "\n".join(map(str, problems))


def test_bytes_that_are_not_utf8_are_refused_with_their_line() -> None:
    assert str(parse_nodes(b"a: 1\nb: \xff\n", "f.yaml")[1][0]) == "f.yaml:2: not UTF-8"


def test_nodes_know_their_lines_and_whether_they_were_quoted() -> None:
    node, problems = parse_nodes(b"# comment\na: yes\nb: 'yes'\n", "f.yaml")
    assert not problems
    assert node == Mapping(
        (
            (Scalar("a", True, 2), Scalar("yes", True, 2)),
            (Scalar("b", True, 3), Scalar("yes", False, 3)),
        ),
        2,
    )
