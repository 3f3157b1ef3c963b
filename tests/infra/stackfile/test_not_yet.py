"""The table of what is not built yet."""

from __future__ import annotations

from infra.stackfile.errors import keys_at
from infra.stackfile.not_yet import ROWS, NotYet, not_available
from infra.stackfile.resources import ResourceGroup
from infra.stackfile.services import Service

OURS = {
    "local": (
        NotYet("mirrors"),
        NotYet("services.*.method", ("process",), "standard is available"),
        NotYet("services.*.versions.*.replicas.burst"),
    )
}


def test_what_is_not_built_is_an_error_by_path_that_says_so() -> None:
    config = {
        "mirrors": ["a"],
        "services": {"chat": {"method": "process", "versions": {"v1": {"replicas": {"burst": [1]}}}}},
    }
    found = [str(error) for error in not_available(config, rows=OURS)]
    assert found == [
        'mirrors: is not available on target local yet (it says ["a"])',
        'services.chat.method: is not available on target local yet (it says "process"); standard is available',
        "services.chat.versions.v1.replicas.burst: is not available on target local yet (it says [1])",
    ]


def test_a_key_that_is_off_is_no_error() -> None:
    config = {
        "mirrors": [],
        "services": {"chat": {"method": "standard", "versions": {"v1": {"replicas": {"burst": []}}}}},
    }
    assert not_available(config, rows=OURS) == []


def test_a_target_that_is_not_built_is_one_error() -> None:
    found = not_available({"target": {"kind": "eks"}, "mirrors": ["a"]}, rows=OURS)
    assert [error.path for error in found] == ["target.kind"]


def test_each_target_has_rows_of_its_own() -> None:
    rows = {"local": (NotYet("mirrors"),), "kubernetes": ()}
    assert [error.path for error in not_available({"mirrors": ["a"]}, rows=rows)] == ["mirrors"]
    assert not_available({"mirrors": ["a"], "target": {"kind": "kubernetes"}}, rows=rows) == []


def test_a_row_may_say_for_itself_why_not() -> None:
    rows = {"local": (NotYet("services.*.autoscaler", ("hpa",), "gateway scales here", "needs what {target} has not"),)}
    found = not_available({"services": {"chat": {"autoscaler": "hpa"}}}, rows=rows)
    assert [str(error) for error in found] == [
        'services.chat.autoscaler: needs what local has not (it says "hpa"); gateway scales here'
    ]


def test_data_of_a_wrong_shape_is_passed_over() -> None:
    assert not_available({"target": "local", "services": {"chat": 3, "two": {"versions": "x"}}}, rows=OURS) == []


def test_every_row_names_a_key_that_there_is() -> None:
    models = {"services": Service, "resourceGroups": ResourceGroup, "mirrors": None}
    for row in (row for rows in ROWS.values() for row in rows):
        section, *rest = row.path.split(".")
        assert section in models, row
        if rest:
            *above, key = rest[1:]
            assert key in keys_at(models[section], tuple(above)), row
