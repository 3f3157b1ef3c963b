"""What replicas run on: resource groups, quotas, and what a service asks for."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from infra.stackfile.base import FileModel, NotNegative, Positive, Text, one_of


class Spot(FileModel):
    """Spot capacity with a limit."""

    max_per_hour: Positive
    """The highest price per hour and instance, in the currency of the instance type's price."""


class Nodes(FileModel):
    """How many nodes a group may have."""

    min: Annotated[int, Field(ge=0)] = 0
    max: Annotated[int, Field(ge=0)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min > self.max:
            raise PydanticCustomError("bounds", f"min {self.min} is above max {self.max}")
        return self


class ResourceGroup(FileModel):
    """A pool of nodes of given instance types, realised as a GPU node pool."""

    instance_types: Annotated[tuple[Text, ...], Field(min_length=1)]
    nodes: Nodes
    spot: Spot | None = None


class Quota(FileModel):
    """A cap over every declared version of the services that name it, at its maximum, plus the rollout's peak."""

    resource_group: Text | None = None
    """The group whose nodes the services use."""
    gpus: Annotated[int, Field(ge=0)] | None = None
    gpu_memory_gib: NotNegative | None = Field(default=None, alias="gpuMemoryGiB")
    cpus: NotNegative | None = None
    memory_gib: NotNegative | None = Field(default=None, alias="memoryGiB")
    usd_per_hour: NotNegative | None = None


class Resources(FileModel):
    """Where replicas run. `public` (or none of instanceTypes, group and quota): the instance type is chosen."""

    instance_types: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Public instance types in the order in which they are tried."""
    spot: Spot | None = None
    group: Text | None = None
    """A resource group of this file."""
    quota: Text | None = None
    """A quota of this file."""
    cpus: Positive | None = None
    """CPU cores per replica; the plan's choice when absent."""
    memory_gib: Positive | None = Field(default=None, alias="memoryGiB")
    gpus: Annotated[int, Field(ge=0)] | None = None
    gpu_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _public(cls, data: Any) -> Any:
        if data == "public":
            return {}
        if isinstance(data, str):
            raise PydanticCustomError(
                "resources",
                "is not a kind of resources",
                {"nearest": "public, {group: NAME}, {quota: NAME} or {instanceTypes: [...]}"},
            )
        return data

    @model_validator(mode="after")
    def _one(self) -> Self:
        one_of(self, "object", "instance_types", "group", "quota", optional=True)
        return self

    @property
    def kind(self) -> Literal["public", "group", "quota"]:
        """Which of EAS's three kinds of resources this is."""
        return "group" if self.group else "quota" if self.quota else "public"
