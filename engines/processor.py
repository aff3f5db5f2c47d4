"""What this machine's processor is, and can do."""

import os
import platform
from functools import cache
from pathlib import Path

THREADS = "POSE_THREADS"  # variable: how many threads a network gets where nothing else is said
SETS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")  # that matter to networks


@cache
def processor() -> tuple:
    """(name, those of SETS that it has), as Linux tells; elsewhere no sets are known."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = facts.get("flags", "").split()
    return facts.get("model name") or platform.processor() or platform.machine(), tuple(name for name in SETS if name in flags)


def usual_threads():
    """How many threads a network gets on a CPU where nothing is said; None: the engine decides."""
    text = os.environ.get(THREADS, "")
    return int(text) if text.isdecimal() and int(text) else None
