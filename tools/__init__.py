"""What sets a machine up: pinned tools built from Go modules, the virtual environment, scripted Pulumi runs.

Standard library only, for these modules run before anything is installed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that older Pythons reach
    raise SystemExit(
        f"Python 3.11 or newer is needed, this is {sys.version.split()[0]}; name another: PYTHON=python3.11"
    )
