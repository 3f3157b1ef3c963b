"""GPUs are given whole, each to one replica."""

from __future__ import annotations

from pathlib import Path

from runtime.contract.version import Bounds
from runtime.host.gpus import devices, pick
from tests.runtime.host.conftest import Local, record


def test_the_hosts_own_gpus_are_those_it_may_give_away(tmp_path: Path) -> None:
    assert devices({"CUDA_VISIBLE_DEVICES": "2, 5"}) == ("2", "5")
    assert devices({"CUDA_VISIBLE_DEVICES": ""}) == ()
    assert devices({}, tmp_path / "no driver") == ()
    for name in ("0000:3b:00.0", "0000:5e:00.0"):
        (tmp_path / name).mkdir()
    assert devices({}, tmp_path) == ("0", "1")


def test_free_gpus_are_picked_in_order_or_not_at_all() -> None:
    assert pick(("0", "1", "2"), {"0"}, 2) == ("1", "2")
    assert pick(("0", "1", "2"), {"0"}, 3) is None
    assert pick(("0",), {"0"}, 0) == ()


async def test_a_replica_without_a_free_gpu_waits_and_says_for_what(two_gpus: Local) -> None:
    described = record().template.model_copy(update={"gpus": 1})
    version = record().model_copy(
        update={"template": described, "hash": described.hash(), "bounds": Bounds(min=0, max=3)}
    )
    path = await two_gpus.run(version, replicas=2)
    await two_gpus.call("PUT", f"{path}/scale", {"replicas": 3})
    waiting = await two_gpus.until(path, lambda state: len(state.replicas) == 3)
    assert (waiting.replicas[2].phase, waiting.replicas[2].detail) == ("schedule", "waits for 1 GPU: 0 of 2 are free")
    seen = {visible(replica.pid) for replica in waiting.replicas[:2]}
    assert seen == {"0", "1"}
    plain = await two_gpus.run(record(service="small"))
    assert visible((await two_gpus.state(plain)).replicas[0].pid) == ""


def visible(pid: int | None) -> str:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return next(pair.partition(b"=")[2].decode() for pair in pairs if pair.startswith(b"CUDA_VISIBLE_DEVICES="))
