"""Our OpenAPI document and what is served agree, and no input of its operations breaks a service (schemathesis)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given, seed
from schemathesis import GenerationMode
from schemathesis.checks import (
    CheckFunction,
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from runtime.contract.version import Method
from runtime.replica.openapi import FOLDER, METHODS, document, document_text
from tests.protocols.services import SEED, Services, fuzzing
from tests.runtime.replica.harness import TOKEN

ONE_COMPLETION = b"Do no support to generate multiple completions."
"""Section 7.2: BladeLLM's own 500, on purpose."""
SECONDS = 10
SCHEMAS = {method: schemathesis.openapi.from_dict(document(method)) for method in METHODS}
OPERATIONS = [
    (method, operation.path, operation.method)
    for method, schema in SCHEMAS.items()
    for result in schema.get_all_operations()
    for operation in [result.ok()]
]
CHECKS: list[CheckFunction] = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
]  # fmt: skip
CASES = [
    (*operation, mode)
    for operation in OPERATIONS
    for mode in GenerationMode
    if operation[2] != "get" or mode is GenerationMode.POSITIVE  # there is nothing to get wrong about a GET
]
SHARE = 0.25 / len(CASES)


@pytest.mark.parametrize("method", METHODS)
def test_the_committed_document_is_fresh(method: Method) -> None:
    """`python -m runtime.replica.openapi --write` makes it anew."""
    assert (FOLDER / f"{method.value}.json").read_text() == document_text(method)


@pytest.mark.parametrize(("method", "path", "verb", "mode"), CASES)
def test_no_input_of_the_document_breaks_a_service(
    served: Services, method: Method, path: str, verb: str, mode: GenerationMode
) -> None:
    operation: Any = SCHEMAS[method][path][verb.upper()]
    addresses = served.addresses(method)
    session = requests.Session()
    turn = 0

    @seed(SEED or 0)
    @fuzzing(SHARE)
    @given(case=operation.as_strategy(generation_mode=mode))
    def each(case: Any) -> None:
        nonlocal turn
        turn += 1
        headers = {"Authorization": (TOKEN, f"Bearer {TOKEN}")[turn % 2]}
        address = addresses[turn % 4 == 0]  # every fourth goes through the gateway
        answer = case.call(base_url=address, headers=headers, session=session, timeout=SECONDS)
        assert TOKEN.encode() not in answer.content
        assert b"Traceback" not in answer.content
        expected = answer.status_code == 500 and answer.content == ONE_COMPLETION
        case.validate_response(answer, checks=CHECKS[1:] if expected else CHECKS)
        if answer.headers.get("Content-Type", "").startswith("text/event-stream"):
            assert answer.content.endswith(b"data: [DONE]\n\n")
            for event in answer.content.split(b"\n\n")[:-2]:
                json.loads(event.removeprefix(b"data: "))

    with session:
        each()
