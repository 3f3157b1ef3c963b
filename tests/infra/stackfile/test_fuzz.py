"""Whatever a stack file says, it loads or every problem is named; no traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.stackfile import Stack, StackFileError, StackFileErrors, load
from infra.stackfile.services import Service
from infra.stackfile.versions import Version

QUIET = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
KEYS = [field.alias or name for model in (Service, Version) for name, field in model.model_fields.items()]
words = st.text("aZ09_-./:{}[] \u00e9", max_size=6)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 10**12), st.floats(), words, st.just("SmolLM2-135M-Instruct")
)
data = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.one_of(words, st.sampled_from(KEYS), st.integers(), st.booleans()), inner, max_size=4)
    ),
    max_leaves=8,
)
sections = st.sampled_from(
    ["target", "offline", "mirrors", "resourceGroups", "quotas", "services", "inferform:services", "x:y"]
)
GOOD: dict[str, Any] = {
    "target": {"kind": "local"},
    "quotas": {"nlp": {"gpus": 1}},
    "services": {
        "chat": {"model": "SmolLM2-135M-Instruct", "replicas": {"min": 1, "max": 2}, "resources": {"quota": "nlp"}},
        "two": {"versions": {"v1": {"model": "a"}, "v2": {"model": "b"}}, "traffic": {"v1": 90, "v2": 10}},
    },
}


def attempt(config: dict[str, Any]) -> Stack | tuple[StackFileError, ...]:
    """What loading answers."""
    try:
        return load(config, folder=Path("/nonexistent"))
    except StackFileErrors as wrong:
        return wrong.errors


def check(answer: Stack | tuple[StackFileError, ...]) -> None:
    if isinstance(answer, Stack):
        assert all(sum(service.traffic.values()) == 100 for service in answer.services.values())
        return
    assert answer
    assert all(error.path and error.reason and str(error) for error in answer)


@QUIET
@given(st.dictionaries(sections, data, max_size=4))
def test_any_data_loads_or_is_refused(config: dict[str, Any]) -> None:
    check(attempt(config))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a value."""
    inner = [place for key in value for place in places(value[key], (*path, key))] if isinstance(value, dict) else []
    return [path, *inner] if path else inner


@QUIET
@given(st.sampled_from(places(GOOD)), data)
def test_one_broken_value_is_named_at_its_path(place: tuple[Any, ...], value: Any) -> None:
    config = json.loads(json.dumps(GOOD))
    node = config
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    answer = attempt(config)
    check(answer)
    if isinstance(answer, tuple) and place[0] == "services" and len(place) > 2:
        # Breaking one service breaks no other.
        assert {error.path.split(".")[1].split("[")[0] for error in answer} == {place[1]}


@QUIET
@given(st.sampled_from(KEYS), st.sampled_from(KEYS), data, data)
def test_two_broken_services_are_both_reported(one: str, two: str, first: Any, second: Any) -> None:
    services = {"one": {"model": "a", one: first}, "two": {"model": "a", two: second}}
    alone = [attempt({"services": {name: services[name]}}) for name in services]
    wanted = {str(error) for answer in alone if isinstance(answer, tuple) for error in answer}
    both = attempt({"services": services})
    assert {str(error) for error in both} == wanted if isinstance(both, tuple) else not wanted
