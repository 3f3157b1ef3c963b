"""Relays take the processor for a moment at a time: they ask for it in short slices, and get it sooner."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

SLICE_NS = 100_000
"""The shortest slice that the kernel grants."""
SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""The system call's number by machine; Python has no function for it."""
_RESET_ON_FORK = 1  # threads and children that compute keep the usual slice


def be_prompt() -> bool:
    """Ask for short slices for this thread; whether the kernel took it (before Linux 6.12 it means nothing to it).

    When the thread wakes it then interrupts what computes, instead of waiting some milliseconds for the end of a slice.
    Its share of the processor stays the same, and no privilege is needed. A policy that somebody chose stays.
    """
    number = SCHED_SETATTR.get(platform.machine())
    if platform.system() != "Linux" or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    # struct sched_attr: size, policy (SCHED_OTHER), flags, nice, priority, runtime (the slice), deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, 0, _RESET_ON_FORK, nice, 0, SLICE_NS, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)
