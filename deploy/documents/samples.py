"""The golden samples: what every message of a released version looks like, kept in `tests/contracts/samples`.

A file is named after its message, `<name>.json`; a second sample has a word more: `<name>.erased.json`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def sample(folder: Path, name: str) -> Any:
    """The sample of a message."""
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def samples(folder: Path, name: str) -> dict[str, Any]:
    """Every sample of a message, by file name."""
    files = [folder / f"{name}.json", *sorted(folder.glob(f"{name}.*.json"))]
    if not name.endswith(".answer"):
        files = [file for file in files if not file.name.startswith(f"{name}.answer")]
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in files}
