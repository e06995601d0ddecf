"""Measurements of the exam itself, stored with the package: what it catches, how small an error it sees, its alarms.

Each part says when, with what, and of which state of the checks it was measured. The file (format
"scratchproof-certificate", version 1) holds:

    banks        by effort: made, and by row and bank how many were caught and how many were due
    precision    made, and by row and format the smallest relative error in one element that is seen, in the quantity
                 that is worst; null where none is
    alarms       made, and by format how many alarms in how many comparisons of right code
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from scratchproof.errors import InputError

FORMAT, VERSION = "scratchproof-certificate", 1
STORED = Path(__file__).with_name("certificate.json")
DECIDING = ("exam/*.py", "oracle/*.py", "table/*.py", "bank/mistakes/*.py", "vjp.py")

Part = dict[str, Any]
"""A part of the file, or all of it."""


@cache
def state() -> str:
    """A digest of the sources on which a verdict depends: what was measured of others may no longer be so."""
    root = Path(__file__).parent.parent
    digest = hashlib.blake2b(digest_size=8)
    for pattern in DECIDING:
        for file in sorted(root.glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def made() -> dict[str, str]:
    """When, with what and of which state of the checks something is measured."""
    import numpy as np
    import torch

    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "state": state(),
        "scratchproof": _version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "processor": _processor(),
    }


def stored(file: Path = STORED) -> Part:
    """What is in a file of measurements; nothing if there is none. Raises: InputError if it is another's."""
    if not file.exists():
        return {}
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read ({error}): give a file of measurements, or a new name") from error
    if not isinstance(held, dict) or (held.get("format"), held.get("version")) != (FORMAT, VERSION):
        raise InputError(f"{file} holds no measurements of this version: give another name or remove it first")
    return {name: part for name, part in held.items() if name not in ("format", "version")}


def keep(file: Path, parts: Part) -> None:
    """Put newly measured parts in the place of the old ones; banks of another effort stay. Raises: InputError."""
    held = stored(file)
    banks = {**held.get("banks", {}), **parts.get("banks", {})}
    whole = {"format": FORMAT, "version": VERSION, **held, **parts, **({"banks": banks} if banks else {})}
    file.write_text(json.dumps(whole, separators=(",", ":")).replace('},"', '},\n"') + "\n", encoding="utf-8")


def of_banks(effort: str, counted: Mapping[str, Mapping[str, tuple[int, int]]]) -> Part:
    """The part for what was counted: by bank and row, how many were caught and how many were due."""
    rows: dict[str, dict[str, list[int]]] = {}
    for bank, of_bank in counted.items():
        for row, pair in of_bank.items():
            rows.setdefault(row, {})[bank] = list(pair)
    return {"banks": {effort: {"made": made(), "rows": rows}}}


def of_precision(found: Iterable[Any]) -> Part:
    """The part for what is still seen (`precision.Seen`): one element, in the quantity that is worst."""
    rows: dict[str, dict[str, float | None]] = {}
    for one in found:
        if one.where == "one element":
            of_row = rows.setdefault(one.layer, {})
            worst = max(of_row.get(one.precision) or 0.0, one.smallest)
            known = of_row.get(one.precision, 0.0) is not None and math.isfinite(worst)
            of_row[one.precision] = worst if known else None
    return {"precision": {"made": made(), "rows": rows}}


def of_alarms(counted: Mapping[str, tuple[int, int]]) -> Part:
    """The part for right code: by format, alarms and comparisons."""
    return {"alarms": {"made": made(), "formats": {name: list(pair) for name, pair in counted.items()}}}


def _version() -> str:
    try:
        return version("scratchproof")
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()
