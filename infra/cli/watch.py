"""A status that goes on: shown anew once a second, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console
from rich.live import Live
from rich.text import Text

from infra.cli.failure import Failure
from infra.cli.status import Status, as_text

SECONDS = 1.0


def follow(
    look: Callable[[], Status], *, console: Console | None = None, sleep: Callable[[float], None] = time.sleep
) -> None:
    """Show what `look` answers until it is interrupted. A host that is away for a while is shown as that."""
    with Live(_shown(look), console=console or Console(), auto_refresh=False) as live:
        try:
            while True:
                sleep(SECONDS)
                live.update(_shown(look), refresh=True)
        except KeyboardInterrupt:
            return


def _shown(look: Callable[[], Status]) -> Text:
    try:
        return Text(as_text(look(), now=time.time()))
    except Failure as failure:
        return Text(f"{failure}\n")
