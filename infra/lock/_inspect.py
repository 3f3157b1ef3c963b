"""What a hub or bucket says of a model now. The runtime's own reader answers, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from infra.plan.lock import LockedModel

SECONDS = 120
"""A listing and one small file; a hub that takes longer is not answering."""
CLONE_SECONDS = 1900
"""A repository is cloned into the cache, where replicas find it; a little longer than git's own limit."""
KEYS = """
    model_type architectures auto_map hidden_size intermediate_size moe_intermediate_size ffn_hidden_size
    num_hidden_layers num_layers n_layer num_attention_heads n_head num_key_value_heads num_kv_heads n_embd
    n_inner n_positions n_ctx head_dim kv_channels multi_query_attention multi_query_group_num multi_query
    vocab_size padded_vocab_size max_position_embeddings seq_length model_max_length tie_word_embeddings dtype
    torch_dtype sliding_window use_sliding_window max_window_layers sliding_window_pattern layer_types
    kv_lora_rank qk_rope_head_dim qk_nope_head_dim v_head_dim num_local_experts n_routed_experts
    n_shared_experts num_experts num_experts_per_tok quantization_config text_config llm_config language_config
    thinker_config vision_config
"""
KEPT = frozenset(KEYS.split())
"""Keys of a config.json that sizing reads; the rest would only make the lock file long."""


class InspectFailed(RuntimeError):
    """A source could not be read; the text is its own reason."""


def inspect_source(source: str) -> LockedModel:
    """Ask a hub or bucket for a model's revision, weight bytes and config. Raises InspectFailed."""
    return entry(_ask("inspect", source))


def mounted_digest(source: str) -> str:
    """Ask a bucket for the hash of its manifest. Raises InspectFailed."""
    return str(_ask("manifest", source)["revision"])


def _ask(what: str, source: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "runtime.replica.sources", what, source]
    seconds = CLONE_SECONDS if source.startswith("git+") else SECONDS
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as late:
        raise InspectFailed(f"{source} did not answer within {seconds} s") from late
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1].removeprefix("error: ") if lines else f"the reader ended with {done.returncode}"
        raise InspectFailed(f"{source}: {reason}" if source not in reason else reason)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def entry(facts: dict[str, Any]) -> LockedModel:
    """The lock entry for what the reader said."""
    config = {key: value for key, value in facts["config"].items() if key in KEPT}
    return LockedModel(
        revision=facts["revision"],
        weight_bytes=facts["weightBytes"],
        pickle_only=facts["pickleOnly"],
        remote_code=facts["remoteCode"],
        config=config,
    )
