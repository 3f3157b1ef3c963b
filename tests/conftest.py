"""For all tests: what has to be set before torch is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

# See runtime/replica/engines/transformers/__init__.py: threads that wait must not keep the cores from those that work.
os.environ.setdefault("GOMP_SPINCOUNT", "3000")

# What runs measured is kept for the user; that of tests is not.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="inferform-test-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)
