"""The default engine: any Hugging Face causal model folder, with continuous batching of our own.

The life of a request: engine.py encodes it and submits it to worker.py's thread; the worker plans the next model step
(which prompts' chunks, which running rows), a runner (runners/) computes logits, sampling.py draws one token per row,
and the whole step's tokens go back to the event loop in one call, where text.py turns them into text.
"""

import os

# Read when torch loads its OpenMP. By default a waiting thread spins for milliseconds, and where others want the cores
# each step then waits for threads that were put to sleep in the middle: seconds a token instead of a tenth of one.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

from runtime.replica.engines.transformers.engine import TransformersEngine

__all__ = ["TransformersEngine"]
