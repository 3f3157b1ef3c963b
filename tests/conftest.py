"""For all tests: what has to be set before torch is imported."""

from __future__ import annotations

import os

# See runtime/replica/engines/transformers/__init__.py: threads that wait must not keep the cores from those that work.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")
