"""The texts of a query: which runs hold them, and where.

One query for all texts that are looked for, and one for the passages of the runs that a page shows; both bounded
(`explorer.search`). The search index may be a moment behind the list.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from explorer import search
from explorer.query_language import Query
from explorer.search import Hits, Passage, RunHit


@dataclass(frozen=True, kw_only=True)
class Texts:
    """What the texts of a query led to. `shown` is the first that a run must hold: rows tell where it stands."""

    project: str
    found: Mapping[str, Hits]
    shown: str = ""

    @property
    def is_all(self) -> bool:
        """Whether everything was looked at."""
        return all(hits.is_all for hits in self.found.values())

    def streams(self, text: str) -> list[str]:
        """Return the runs that hold a text."""
        hits = self.found.get(text)
        return [hit.stream for hit in hits.runs] if hits else []

    def passages(self, streams: Collection[str]) -> dict[str, Passage]:
        """Return the first passage of some runs that holds the text that is shown."""
        first = {hit.stream: hit for hit in self._shown_hits() if hit.stream in set(streams)}
        if not first:
            return {}
        places = [(hit.stream, hit.version) for hit in first.values()]
        found = search.get_index().passages(self.project, places, search.needle(self.shown))
        return {stream: passage for (stream, _version), passage in found.items()}

    def _shown_hits(self) -> tuple[RunHit, ...]:
        return self.found[self.shown].runs if self.shown in self.found else ()


NO_TEXTS: Final = Texts(project="", found={})


def texts_of(project: str, query: Query) -> Texts:
    """Look for the texts of a query without problems; without texts, that is no query."""
    terms = [term for term in query.terms if term.key == "text"]
    texts = list(dict.fromkeys(value.text for term in terms for value in term.values))
    if not texts or query.problems:
        return NO_TEXTS
    found = search.get_index().runs(project, [search.needle(text) for text in texts])
    shown = next((value.text for term in terms if not term.is_negated for value in term.values), "")
    return Texts(project=project, found=dict(zip(texts, found, strict=True)), shown=shown)
