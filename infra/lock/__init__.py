"""`inferform lock`: asks hubs and buckets once, and writes what they said into inferform.lock.

change = update([stack], catalog, read_lock(folder), inspect=inspect_source, upgrade=("chat",))
write_lock(folder, change.lock)
"""

from infra.lock._inspect import InspectFailed, inspect_source
from infra.lock._update import Change, needed, pin_image, update, write_lock

__all__ = ["Change", "InspectFailed", "inspect_source", "needed", "pin_image", "update", "write_lock"]
