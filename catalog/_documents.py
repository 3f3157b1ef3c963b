"""The documents of the catalog: a frozen pydantic model per kind of fact. Sizes are bytes unless named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Verified(StrEnum):
    """How far a fact was verified, best first."""

    CONFIG = "config"  # read in the model's own files
    COMPUTED = "computed"  # follows from facts that were read, by code that a test runs
    DOCUMENTED = "documented"  # read in the vendor's own page, card or package
    SECONDARY = "secondary"  # read in somebody else's text
    UNVERIFIED = "unverified"  # general knowledge, not looked up


class Fact(BaseModel):
    """What every document of the catalog says about itself."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, protected_namespaces=()
    )

    verified: Verified
    source: str
    date: date


class Model(Fact):
    """One model. `config` holds the keys of its config.json that sizing needs, spelled as there."""

    id: str
    family: str
    kind: Literal["chat", "base", "embedding", "rerank", "other"] = "chat"
    embedded: str | None = None
    """The name of weights that come with an installed package: embedded://NAME."""
    digest: str | None = None
    """Content digest of embedded weights."""
    huggingface: str | None = None
    """org/name on Hugging Face."""
    modelscope: str | None = None
    """org/name on ModelScope."""
    licence: str
    gated: bool = False
    """The hub asks for a login and an agreement before it gives the weights."""
    modalities: tuple[str, ...] = ("text",)
    methods: tuple[str, ...]
    """The methods of a service that can serve it."""
    parameters: int
    active_parameters: int | None = None
    """Parameters that one token uses; None: all of them."""
    vision_parameters: int = 0
    """Those of `parameters` that belong to a vision tower."""
    weight_bytes: int
    """The safetensors files together."""
    remote_code: bool = False
    """It needs Python code from its own repository."""
    engine_args: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Default engine arguments by engine."""
    config: dict[str, Any]
    note: str = ""

    def on(self, scheme: str) -> str | None:
        """org/name on a hub, by the scheme of its sources: hf or modelscope."""
        return self.huggingface if scheme == "hf" else self.modelscope

    @property
    def hub(self) -> str | None:
        """Where the weights come from unless the stack file says otherwise, as a source string."""
        if self.embedded:
            return f"embedded://{self.embedded}"
        if self.huggingface:
            return f"hf://{self.huggingface}"
        return f"modelscope://{self.modelscope}" if self.modelscope else None


class Gpu(Fact):
    """One GPU model. Memory is what the driver reports, which is less than the name on the box."""

    id: str
    name: str
    memory_mib: int
    architecture: str
    compute_capability: float | None = None
    bandwidth_gb_per_second: float | None = None
    """Memory bandwidth, in 10^9 bytes."""
    bf16: bool = True
    fp8: bool = False
    bladellm: bool = True
    """BladeLLM runs on A, H and L series GPUs."""


class Price(Fact):
    """On-demand price per hour of one instance type in one region."""

    amount: float
    currency: str
    region: str
    spot: bool = False


class InstanceType(Fact):
    """One instance type. GPU memory follows from the GPU model."""

    id: str
    cloud: Literal["alibaba", "aws", "own"]
    family: str
    vcpus: int
    memory_gib: float
    gpu: str | None = None
    """Id of a GPU model of the catalog."""
    gpus: int = 0
    interconnect: str | None = None
    """How the GPUs of one machine reach each other: nvlink, nvswitch, pcie."""
    network_gbps: float | None = None
    local_disk_gb: float | None = None
    eas: bool = True
    """Named on EAS's pages (Alibaba Cloud only)."""
    prices: tuple[Price, ...] = ()


class Engine(Fact):
    """What an engine takes beside weights and KV cache, and its start. Assumptions until a run recorded them."""

    id: str
    process_bytes: int
    """Host memory of the process with its libraries, no model loaded."""
    gpu_context_bytes: int = 0
    """GPU memory of the CUDA context and communication buffers."""
    graph_bytes: int = 0
    """GPU memory of captured graphs."""
    gpu_utilization: float = 0.9
    """Share of a GPU's memory that the engine takes for itself."""
    batched_tokens: int = 2048
    """Tokens of one step: bounds the activations."""
    image_bytes: int = 0
    """Compressed bytes of the image to pull."""
    init_seconds: float = 0
    """Start of the engine without reading weights, on a GPU."""
    init_seconds_cpu: float = 0


class Speed(Fact):
    """A rate or a duration that a cold start is estimated with."""

    id: str
    value: float
    unit: str


class ExchangeRate(Fact):
    """Units of `currency` for one US dollar."""

    currency: str
    per_usd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """Everything, by id."""

    models: Mapping[str, Model]
    gpus: Mapping[str, Gpu]
    instances: Mapping[str, InstanceType]
    engines: Mapping[str, Engine]
    rates: Mapping[str, ExchangeRate]
    speeds: Mapping[str, Speed]

    def usd(self, price: Price) -> float | None:
        """A price in US dollars per hour; None when its currency has no rate."""
        if price.currency == "USD":
            return price.amount
        rate = self.rates.get(price.currency)
        return price.amount / rate.per_usd if rate else None
