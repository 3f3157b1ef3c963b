"""The vLLM engine: the real server as a child process in its own virtual environment, reached over a unix socket."""

from runtime.replica.engines.vllm.engine import VllmEngine

__all__ = ["VllmEngine"]
