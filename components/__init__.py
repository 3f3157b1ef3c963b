"""Pulumi components that realise a plan: what a stack file declares, as resources.

stack = Stack("models", {"services": {"chat": {"model": "SmolLM2-135M-Instruct"}}})
pulumi.export("services", stack.services)
"""

from components._gateway import Gateway
from components._model_service import ModelService
from components._pools import GpuNodePool, ResourceGroup, ResourceQuota
from components._stack import Stack

__all__ = ["Gateway", "GpuNodePool", "ModelService", "ResourceGroup", "ResourceQuota", "Stack"]
