"""What a quota holds at maximum replicas, and who."""

from __future__ import annotations

import pytest

from infra.plan.quota import Claim, weigh
from infra.stackfile import Quota

A = Claim(name="chat/v1", path="services.chat", high=4, each={"gpus": 2.0, "usdPerHour": 3.0}, extra=4)
B = Claim(name="embed/main", path="services.embed", high=3, each={"gpus": 1.0, "usdPerHour": None})


@pytest.mark.parametrize(
    ("gpus", "claims", "said"),
    [
        (19, [A, B], None),
        (18, [A, B], "the largest rollout would take 19 gpus, the limit is 18"),
        (11, [A, B], "the largest rollout would take 19 gpus"),
        (10, [A, B], "11 gpus at maximum replicas, the limit is 10 (chat/v1 8, embed/main 3)"),
        (3, [B], None),
        (0, [], None),
    ],
)
def test_maximum_and_rollout_are_held_to_the_limit(gpus: int, claims: list[Claim], said: str | None) -> None:
    weighed = weigh("nlp", Quota(gpus=gpus), claims)
    assert [said in finding.text for finding in weighed.findings if said] == ([True] if said else [])
    assert all((finding.rule, finding.path) == ("quota-exceeded", "quotas.nlp.gpus") for finding in weighed.findings)


def test_the_fix_is_the_highest_bound_that_passes() -> None:
    without_rollout = Claim(name=A.name, path=A.path, high=A.high, each=A.each)
    [finding] = weigh("nlp", Quota(gpus=9), [without_rollout, B]).findings
    assert finding.fix == "replicas.max: 3 for chat/v1, or gpus: 11"


def test_headroom_says_what_is_left_and_who_holds_the_rest() -> None:
    [row] = weigh("nlp", Quota(gpus=20), [A, B]).headroom
    assert (row.used, row.peak, row.left) == (11, 19, 1)
    assert [(holder.name, holder.amount) for holder in row.holders] == [("chat/v1", 8), ("embed/main", 3)]


def test_an_unknown_price_is_a_warning_and_the_rest_is_weighed() -> None:
    weighed = weigh("nlp", Quota.model_validate({"usdPerHour": 10.0}), [A, B])
    assert [finding.rule for finding in weighed.findings] == ["price-unknown", "quota-exceeded"]
