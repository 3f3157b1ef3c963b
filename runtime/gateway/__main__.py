"""`python -m runtime.gateway`: see command.py. Heavy imports come after SIGTERM is listened to."""

from __future__ import annotations

import importlib
import sys

from runtime.ending import leave_on_sigterm

if __name__ == "__main__":
    leave_on_sigterm()
    sys.exit(importlib.import_module("runtime.gateway.command").main(sys.argv[1:]))
