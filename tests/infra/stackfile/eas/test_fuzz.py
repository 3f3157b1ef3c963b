"""A thousand mutated service.json files: each is imported and loads, or every problem has a path; no traceback."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

from infra.stackfile import StackFileErrors, load
from infra.stackfile.eas import export_service, import_service, normalise
from tests.infra.places import places
from tests.infra.stackfile.eas.test_published import FILES

WORDS = "x qps demo oss://b/p/ vllm_serve ecs.gn7i-c16g1.4xlarge public [] a.b é 'unclosed --port"
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 3, 4096, 10**12, 0.5, float("inf"), "", [], {}),
    *WORDS.split(),
    *("vllm serve /m --max-model-len", "python -m x --model", "30", "true"),
    *([None], [{}], [{"mount_path": 1}], {"a": {"b": []}}, {"min": 3, "max": 1}, {"type": 5}),
)
FIELDS = "metadata containers cloud storage autoscaler name instance cpu gpu min max type oss path unheard_of"
KEYS = tuple(FIELDS.split())


def mutated(data: Any, chance: random.Random) -> Any:
    """One to three places replaced, removed, or given another key."""
    made = copy.deepcopy(data)
    for _ in range(chance.randint(1, 3)):
        known = list(places(made))
        if not known:
            return made
        *way, last = chance.choice(known)
        inner = made
        for key in way:
            inner = inner[key]
        action = chance.random()
        if action < 0.55:
            inner[last] = copy.deepcopy(chance.choice(ODD))
        elif action < 0.7:
            del inner[last]
        elif isinstance(inner, dict):
            inner[chance.choice(KEYS)] = copy.deepcopy(chance.choice(ODD))
        else:
            inner.append(copy.deepcopy(chance.choice(ODD)))
    return made


def wanted(raw: dict[str, Any]) -> dict[str, Any]:
    """What the export gives back: normalised, named, and without the token that EAS never reads."""
    document = normalise({**raw, "metadata": raw.get("metadata") or {}})[0]
    document["metadata"].setdefault("name", "demo")
    if isinstance(credential := document.get("credential"), dict):
        credential.pop("private_token", None)
        if not credential:
            del document["credential"]
    return document


def test_a_file_without_metadata_gets_them() -> None:
    """EAS's default is one instance; a service without bounds would be none."""
    rest = {key: value for key, value in FILES["smallest"].items() if key != "metadata"}
    for metadata in ({}, {"metadata": None}, {"metadata": {}}):
        assert import_service({**metadata, **rest}, name="demo").service["replicas"] == {"min": 1, "max": 1}


def test_a_thousand_mutated_files_are_imported_or_refused_with_paths() -> None:
    chance = random.Random(20261125)
    refused, unloadable, loaded = list[StackFileErrors](), list[StackFileErrors](), 0
    for _ in range(1000):
        raw = mutated(chance.choice(list(FILES.values())), chance)
        before = copy.deepcopy(raw)
        try:
            imported = import_service(raw, name="demo")
        except StackFileErrors as wrong:
            refused.append(wrong)
            continue
        assert raw == before
        assert export_service(imported.name, imported.service, secrets=imported.secrets).document == wanted(raw)
        try:
            load({"services": {"demo": imported.service}}, folder=Path("/nonexistent"), built_only=False)
            loaded += 1
        except StackFileErrors as wrong:
            unloadable.append(wrong)
    assert all(error.path and error.reason for wrong in (*refused, *unloadable) for error in wrong.errors)
    assert min(len(refused), loaded) > 150  # both kinds were met often


def test_errors_in_two_places_come_at_once() -> None:
    raw = copy.deepcopy(FILES["vllm with a mount, a probe and an autoscaler"])
    raw["metadata"]["instance"], raw["containers"][0]["port"] = "many", "none"
    try:
        import_service(raw)
        found = set[str]()
    except StackFileErrors as wrong:
        found = {error.path for error in wrong.errors}
    assert {"metadata.instance", "containers[0].port"} <= found
