"""What the Causes tab shows, in plain values: rows with their words, the drawing, and where to go from here."""

from __future__ import annotations

from dataclasses import dataclass

from explorer.cause_graph import Graph, Node
from explorer.models import EventLine


@dataclass(frozen=True, kw_only=True, slots=True)
class CauseRow:
    """One event of the graph with its links in words.

    `heading` stands above it where a part of the list begins. `stream` is empty where the event is in the run itself.
    """

    line: EventLine
    words: str
    heading: str = ""
    is_cursor: bool = False
    is_effect: bool = False
    is_sibling: bool = False
    is_broken: bool = False
    stream: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainStep:
    """One event of a chain, in a word or two."""

    line: EventLine
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One way from the cursor up to where it begins, oldest first, for one line of text."""

    steps: tuple[ChainStep, ...]
    ancestors: int
    inferred: int
    links: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A direct cause or effect to walk to."""

    line: EventLine
    words: str
    href: str
    stream: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A direction that the panel can be turned to, with how many events lie there."""

    words: str
    count: str
    href: str
    is_on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Causes:
    """The causes and effects of an event. `before` are this run's ancestors by version; `facts` say what is missing."""

    rows: tuple[CauseRow, ...]
    graph: Graph
    chain: Chain
    before: tuple[int, ...]
    effects: int
    turns: tuple[Turn, ...]
    back: tuple[Choice, ...]
    forward: tuple[Choice, ...]
    facts: tuple[str, ...]
    walk_on: Choice | None
    is_broken: bool
    is_cut: bool

    @property
    def next_cause(self) -> EventLine | None:
        """Return the cause to walk to: the recorded direct one before a reading, a reading before a guess."""
        return self.back[0].line if self.back else None

    @property
    def next_effect(self) -> EventLine | None:
        """Return the effect to walk to: the first that was recorded."""
        return self.forward[0].line if self.forward else None

    @property
    def placed(self) -> list[tuple[Node, CauseRow]]:
        """Return each place in the drawing with its row."""
        return list(zip(self.graph.nodes, self.rows, strict=True))
