"""Nothing is lost and nothing breaks, whatever a file says."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.stackfile import StackFileError, StackFileErrors
from infra.stackfile.eas import Imported, export_service, import_service, normalise
from infra.stackfile.eas.fields import FIELDS, Kind, split
from infra.stackfile.eas.tree import get, put
from infra.stackfile.errors import ABSENT

QUIET = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))

words = st.text("abcxyz0189_-./[]{}\u00e9 ", max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2, 5000), st.floats(0, 9, width=16), words)
json_data = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
BY_KIND: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.INT: st.integers(0, 5000) | st.integers(0, 99).map(str),
    Kind.NUMBER: st.integers(0, 5000) | st.sampled_from([0.5, 1.25]),
    Kind.BOOL: st.booleans() | st.sampled_from(["true", "False"]),
    Kind.TEXT: words.filter(bool),
    Kind.ANY: json_data,
}
mounts = st.lists(
    st.one_of(
        st.fixed_dictionaries({"path": st.sampled_from(["oss://bucket/p/", "oss://x", "oss://b-1"])}).flatmap(
            lambda oss: st.fixed_dictionaries(
                {"oss": st.just(oss).map(dict)}, optional={"properties": st.just({"resource_type": "model"})}
            )
        ),
        st.fixed_dictionaries({"nfs": st.just({"server": "s", "path": "/"})}),
        st.fixed_dictionaries({"empty_dir": st.sampled_from([{}, {"medium": "memory", "size_limit": 2}])}),
        st.fixed_dictionaries({"git": st.sampled_from([{"repo": "https://h/r", "commit": "abcdef1"}, {"repo": "x"}])}),
        st.fixed_dictionaries({"dataset": st.sampled_from([{"id": "d", "read_only": False}, {"id": "d"}])}),
    ),
    max_size=4,
).map(lambda found: [{"mount_path": f"/m{index}", **mount} for index, mount in enumerate(found)])
instances = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["ecs.a", "ecs.b", "ecs.c"])},
        optional={"spot_price_limit": st.sampled_from([1, 2.5]), "capacity": st.sampled_from([5, "20%"])},
    ),
    min_size=1,
    max_size=3,
)
scalers = st.fixed_dictionaries(
    {},
    optional={
        "min": st.integers(0, 3),
        "max": st.integers(0, 6),
        "strategies": st.dictionaries(st.sampled_from(["qps", "gpu", "queue[avgbacklog]"]), st.integers(1, 9)),
        "behavior": json_data,
        "scaleJobs": st.lists(
            st.fixed_dictionaries(
                {"schedule": words, "targetSize": st.integers(0, 3)}, optional={"name": words, "other": scalars}
            ),
            max_size=2,
        ),
    },
)
commands = st.sampled_from(
    [
        "vllm serve /m --port 8000 --max-model-len 4096 --flag",
        "python -m vllm.entrypoints.openai.api_server --model q/m",
        "blade_llm_server --model /m -tp 2 --gamma 3",
        "python webui/webui_server.py --port=8000 --model-path=Qwen/Qwen-7B-Chat --backend=vllm",
        "python app.py",
        "'unclosed",
    ]
)
LISTS = ("storage", "autoscaler", "containers", "cloud")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A file of documented fields with values of their types, and some that nobody documents."""
    document: dict[str, Any] = {
        "metadata": {"name": "demo", "cpu": 1},
        "containers": [{"image": draw(st.sampled_from(["r/x:1", "r/pai-eas/vllm:1"])), "command": draw(commands)}],
    }
    rows = draw(st.lists(st.sampled_from([row for row in FIELDS if "*" not in row.path]), max_size=8))
    for row in rows:
        if row.path.startswith("features"):
            continue
        path = tuple(int(word) if word.isdigit() else word for word in split(row.path))
        if get(document, path) is ABSENT:
            put(document, path, draw(BY_KIND[row.kind]))
    for key, strategy in (("storage", mounts), ("autoscaler", scalers), ("unheard_of", json_data)):
        if draw(st.booleans()):
            document[key] = draw(strategy)
    if draw(st.booleans()):
        put(document, ("cloud", "computing", "instances"), draw(instances))
    return document


def attempt(raw: dict[str, Any]) -> Imported | None:
    """The import, or None for a file that is refused with a path and a reason for everything."""
    found: tuple[StackFileError, ...] = ()
    try:
        return import_service(raw, name="demo")
    except StackFileErrors as refused:
        found = refused.errors
    assert found
    assert all(error.path and error.reason for error in found)
    return None


@QUIET
@given(documents())
def test_export_of_import_is_the_normalised_file(raw: dict[str, Any]) -> None:
    before = copy.deepcopy(raw)
    wanted = normalise(raw)[0]
    imported = attempt(raw)
    assert raw == before
    if imported is None:
        return
    service = json.loads(json.dumps(imported.service))
    exported = export_service(imported.name, service, secrets=imported.secrets)
    assert exported.document == wanted
    assert normalise(wanted)[0] == wanted
    again = import_service(exported.document)
    assert again.service == imported.service


@QUIET
@given(
    st.dictionaries(
        st.sampled_from(["metadata", "containers", "storage", "autoscaler", "cloud", "networking"]), json_data
    )
)
def test_any_json_is_imported_or_refused_and_never_breaks(raw: dict[str, Any]) -> None:
    attempt(raw)


@QUIET
@given(documents(), json_data, st.data())
def test_a_documented_file_with_one_wrong_value_never_breaks(
    raw: dict[str, Any], value: Any, data: st.DataObject
) -> None:
    row = data.draw(st.sampled_from([row for row in FIELDS if "*" not in row.path]))
    path: list[Any] = [int(word) if word.isdigit() else word for word in split(row.path)]
    path = path[: data.draw(st.integers(1, len(path)))]
    if isinstance(get(raw, tuple(path[:-1])), dict | list):
        put(raw, tuple(path), value)
    attempt(raw)
