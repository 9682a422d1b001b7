"""Plotly's script, from the installed package: where it is, and what keeps it from writing style sheets into a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage

NAME: Final = "plotly.min.js"
PREFIX: Final = "plotly"
GLOBAL_STYLE: Final = "plotly.js-style-global"
_OWN_STYLE: Final = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')


class PlotlyFinder(BaseFinder):
    """Finds `plotly/plotly.min.js`. The package has more beside it, such as data sets, that no page needs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._storage = FileSystemStorage(location=_folder())
        self._storage.prefix = PREFIX  # type: ignore[attr-defined]  # how collectstatic learns of it

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002 - Django's own
        """Return where a static file is on the disk, if it is that one."""
        if path.replace("\\", "/") != f"{PREFIX}/{NAME}":
            return []
        found = self._storage.path(NAME)
        return [found] if find_all or kwargs.get("all") else found

    def list(self, ignore_patterns: Iterable[str] | None) -> Iterator[tuple[str, Storage]]:
        """Yield the file."""
        yield NAME, self._storage


@cache
def style_ids() -> tuple[str, ...]:
    """Return the ids under which the script would add style sheets: where an element of that id is, it adds none.

    Parts of it that draw maps do so as soon as the script is there, under ids that change with the version.
    """
    found = _OWN_STYLE.findall((_folder() / NAME).read_bytes())
    return (GLOBAL_STYLE, *sorted({each.decode() for each in found}))


def _folder() -> Path:
    """Return the folder the script lies in, without importing the package: that takes longer than the rest of us."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("plotly is not installed: its script draws the charts", name="plotly")
    return Path(spec.origin).parent / "package_data"
