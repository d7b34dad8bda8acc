"""Loaded by Python at start where a test put this folder on PYTHONPATH: kills the process at a chosen point, once.

CONECTA_TEST_KILL is `<module>:<class>.<method>:<before|after>:<marker file>`: the method is killed with SIGKILL
before or after it runs for the first time; the marker file says that it happened.
"""

from __future__ import annotations

import builtins
import functools
import os
import signal
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

_SPEC = os.environ.get("CONECTA_TEST_KILL", "")


def _arm(module: ModuleType, path: str, moment: str, marker: Path) -> None:
    owner: Any = module
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    method = getattr(owner, name)

    @functools.wraps(method)
    async def fatal(*args: Any, **kwargs: Any) -> Any:
        if moment == "before" and _first(args, marker):
            os.kill(os.getpid(), signal.SIGKILL)
        result = await method(*args, **kwargs)
        if moment == "after" and _first(args, marker):
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, fatal)


def _first(args: tuple[Any, ...], marker: Path) -> bool:
    """Once, and not for an empty round."""
    if marker.exists() or not args[-1]:
        return False
    marker.touch()
    return True


if _SPEC:
    _wanted, _path, _moment, _marker = _SPEC.split(":", 3)
    _import = builtins.__import__

    def _importing(name: str, *args: Any, **kwargs: Any) -> Any:
        result = _import(name, *args, **kwargs)
        module = sys.modules.get(_wanted)
        if module is not None and hasattr(module, _path.split(".")[0]):
            builtins.__import__ = _import
            _arm(module, _path, _moment, Path(_marker))
        return result

    builtins.__import__ = _importing
