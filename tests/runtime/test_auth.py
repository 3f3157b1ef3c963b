"""Section 2 of eas-protocols.md: the three authorization forms, the four vectors, and every wrong byte."""

from __future__ import annotations

import base64

import pytest
from multidict import CIMultiDict

from runtime.auth import check, needs_body, sign

TOKEN = "YWJjZGVmMDEyMw=="
DATE = "Mon, 02 Jun 2025 08:00:00 GMT"
VECTORS = [
    ("/api/predict/chatllm_demo", b"What is the capital of Canada?", "AckqeSCB+uFimoDQIO9/3GUq//E="),
    ("/api/predict/chatllm_demo", "カナダの首都は何ですか?".encode(), "29r3rreVRj+teRsgK6q+f2sIKHo="),
    ("/api/predict/chatllm_demo", b"", "5pT3c2PdV9btkzKxCFMGLWnnIJQ="),
    ("/api/predict/demo_group.qservice/sink", b"[{}]", "DRl17roAwHoVUr/1E8DKX19S1z4="),
]


def signed(signature: str, **more: str) -> CIMultiDict[str]:
    headers = CIMultiDict(
        {"Authorization": f"EAS {signature}", "Content-Type": "application/octet-stream", "Date": DATE}
    )
    headers.update({name.replace("_", "-"): value for name, value in more.items()})
    return headers


def service_of(path: str) -> str:
    return path.split("/")[3]


@pytest.mark.parametrize(("path", "body", "signature"), VECTORS)
def test_2_a_published_signature_is_accepted(path: str, body: bytes, signature: str) -> None:
    assert check(signed(signature), "POST", path, body, ["other", TOKEN], service_of(path))


@pytest.mark.parametrize(("path", "body", "signature"), VECTORS)
def test_2_each_wrong_byte_of_a_signature_is_refused(path: str, body: bytes, signature: str) -> None:
    for at in range(len(signature) - 1):  # the last is padding
        wrong = signature[:at] + ("A" if signature[at] != "A" else "B") + signature[at + 1 :]
        assert not check(signed(wrong), "POST", path, body, [TOKEN], service_of(path))


def test_2_what_is_signed_must_be_what_arrived() -> None:
    path, body, signature = VECTORS[0]
    good = signed(signature)
    assert not check(good, "PUT", path, body, [TOKEN], "chatllm_demo")
    assert not check(good, "POST", path + "/x", body, [TOKEN], "chatllm_demo")
    assert not check(good, "POST", path, body + b" ", [TOKEN], "chatllm_demo")
    assert not check(good, "POST", path, body, [TOKEN[:-1]], "chatllm_demo")
    assert not check(signed(signature, Content_Type="text/plain"), "POST", path, body, [TOKEN], "chatllm_demo")
    assert not check(signed(signature, Date=DATE.replace("2025", "2026")), "POST", path, body, [TOKEN], "chatllm_demo")
    undated = signed(signature)
    del undated["Date"]
    assert not check(undated, "POST", path, body, [TOKEN], "chatllm_demo")


def test_2_a_content_md5_must_match_when_it_is_there() -> None:
    path, body, signature = VECTORS[0]
    right, wrong = "0fc0618a13eac0d678f65f81d65cdbca", "0fc0618a13eac0d678f65f81d65cdbcb"
    assert check(signed(signature, Content_MD5=right), "POST", path, body, [TOKEN], "chatllm_demo")
    assert not check(signed(signature, Content_MD5=wrong), "POST", path, body, [TOKEN], "chatllm_demo")


@pytest.mark.parametrize("rest", ["", "/sink"])
def test_2_clients_that_sign_only_what_follows_the_service_are_accepted(rest: str) -> None:
    signature = sign(TOKEN, method="POST", body=b"x", content_type="text/plain", date=DATE, resource=rest)
    headers = signed(signature, Content_Type="text/plain")
    assert check(headers, "POST", "/api/predict/demo" + rest, b"x", [TOKEN], "demo")
    assert not check(headers, "POST", "/api/predict/demo2" + rest, b"x", [TOKEN], "demo")


@pytest.mark.parametrize("value", [TOKEN, f"Bearer {TOKEN}", f"bearer {TOKEN}", f"BEARER  {TOKEN}"])
def test_2_raw_and_bearer_tokens_are_accepted_with_any_method(value: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        assert check(CIMultiDict(authorization=value), method, "/", None, [TOKEN, "other"], "demo")


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "EAS ", "EAS", "x", TOKEN[:-1], TOKEN + "=", "Basic " + TOKEN, "тест"]
)
def test_2_anything_else_is_refused(value: str) -> None:
    assert not check(CIMultiDict(authorization=value), "POST", "/", b"", [TOKEN], "demo")
    assert not check(CIMultiDict(authorization=value), "POST", "/", b"", [], "demo")


def test_2_no_header_is_refused_and_only_the_signed_form_needs_the_body() -> None:
    assert not check(CIMultiDict(), "POST", "/", b"", [TOKEN], "demo")
    assert needs_body(signed("x"))
    assert not needs_body(CIMultiDict(authorization=f"Bearer {TOKEN}"))


def test_5_a_browsers_socket_offers_the_token_as_a_sub_protocol() -> None:
    offered = base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")
    headers = CIMultiDict({"Sec-WebSocket-Protocol": f"inferform.chat, inferform.token.{offered}"})
    assert check(headers, "GET", "/", None, [TOKEN], "demo")
    assert not check(headers, "POST", "/", None, [TOKEN], "demo")
    assert not check(headers, "GET", "/", None, ["other"], "demo")
    broken = CIMultiDict({"Sec-WebSocket-Protocol": "inferform.chat, inferform.token.!"})
    assert not check(broken, "GET", "/", None, [TOKEN], "demo")
