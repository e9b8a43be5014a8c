"""The fields of a Chart.yaml that a lock needs."""

import pytest

from builder.recipe.chartfile import ChartFile, parse_chart_file
from bundles.errors import ProblemsError

GOOD = b"apiVersion: v2\nname: web\nversion: 1.2.3-rc.1+b\nappVersion: 'v9'\nmaintainers: [{name: x}]\n"


def test_name_and_versions_are_read_and_other_keys_left_alone() -> None:
    assert parse_chart_file(GOOD, "Chart.yaml") == ChartFile(name="web", version="1.2.3-rc.1+b", app_version="v9")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"name: web", b"name: Web", "Chart.yaml:2:name: want the chart's name, got 'Web'"),
        (b"name: web\n", b"", "want the chart's name"),
        (b"1.2.3-rc.1+b", b"1.2", "Chart.yaml:3:version"),
        (b"1.2.3-rc.1+b", b"../../x", "Chart.yaml:3:version"),
        (b"v2", b"v3", "Chart.yaml:1:apiVersion"),
        (GOOD, b"- a\n", "want a mapping"),
        (GOOD, b"", "want a mapping"),
    ],
)
def test_what_cannot_name_an_archive_is_refused(old: bytes, new: bytes, says: str) -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_chart_file(GOOD.replace(old, new), "Chart.yaml")
    assert says in str(caught.value)


def test_leading_zeros_are_taken_because_rke2_s_charts_have_them() -> None:
    assert parse_chart_file(GOOD.replace(b"1.2.3-rc.1+b", b"3.13.007"), "Chart.yaml").version == "3.13.007"
