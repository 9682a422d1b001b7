"""What every search index promises: each one runs this suite. A test module gives the fixture `index`."""

from __future__ import annotations

from collections.abc import Callable, Sized
from itertools import count
from typing import Final

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer import search
from explorer.search import Document, Needle, SearchIndex, needle
from explorer.search.text import LIMIT, fold, tidy
from explorer.search.words import starts_of

_serial = count(1)

WORDS: Final = (
    "line", "88", "line88", "LINE", "files/mod_6.py", "--force", "EditFile", "edit_file", "getHTTPResponse2", "Straße",
    "STRASSE", "日本語", "検索する", "本", "ภาษาไทย", "한국어",
    "q", "quick", "Größe", "İstanbul", "a", "I", "100%", "=>", "é", "e\u0301",
    "ΣΊΣΥΦΟΣ", "deadbeef" * 6, "x_1", "%", "\\", "'", '"', "kk88", "kr", "AND", "NOT", "*", "\u202etxt", "\U00020bb7",
)  # fmt: skip
TEXTS: Final = st.lists(st.sampled_from(WORDS), max_size=8).flatmap(
    lambda words: st.sampled_from((" ", "", "\n", ".")).map(lambda between: between.join(words))
)


FOUND: Final = (
    ("Read line 88 of it", "line 88"), ("Read line 88 of it", "LINE 88"), ("edit files/mod_6.py now", "files/mod_6.py"),
    ("edit files/mod_6.py now", "mod_6"), ("git push --force origin", "--force"), ("class EditFile:", "file"),
    ("error E1042 raised", "1042"), ("失敗した。検索する", "検索"), ("失敗した。検索する", "索"),
    ("失敗した。検索する", "した。検"), ("ภาษาไทย", "ษาไ"), ("Die GRÖSSE", "grösse"), ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
    ("cafe\u0301 noir", "café"), ("two\nlines", "lines"), ("a  b\t c", "a b c"), ("the and of www", "the and of"),
    ("x" * 90, "x" * 50), ("x" * 90, "x" * 90), ("run q9q", "q9"),
)  # fmt: skip
NOT_FOUND: Final = (
    ("line 8", "line 88"), ("line of 88", "line 88"), ("files mod 6 py", "files/mod_6.py"), ("force", "--force"),
    ("two\nlines", "two lines"), ("100 done", "100%"), ("axb", "a_b"), ("検 索", "検索"), ("strasse", "straße"),
    ("anything", "--"), ("anything", ""), ("anything", '" OR "'), ("y" * 90, "y" * 50 + "z"),
)  # fmt: skip


UNSPACED: Final = (
    ("\u0e00", "\u0eff"), ("\u1000", "\u109f"), ("\u1780", "\u17ff"), ("\u3040", "\u30ff"), ("\u3400", "\u4dbf"),
    ("\u4e00", "\u9fff"), ("\uac00", "\ud7af"), ("\uf900", "\ufaff"), ("\uff66", "\uff9f"),
    ("\U00020000", "\U0003ffff"),
)  # fmt: skip


def document(text: str, *, project: str, version: int = 1, stream: str = "agent_run-1", **fields: bool) -> Document:
    """Return an event's text."""
    return Document(
        project=project,
        stream=stream,
        version=version,
        event_id=f"{project}/{stream}/{version}"[-36:],
        text="\n".join(filter(None, map(tidy, text.split("\n")))),
        is_cut=False,
        **{"is_listed": True, **fields},
    )


def add_as_runs(index: SearchIndex, project: str, texts: list[str]) -> None:
    """Index texts as the first events of a run each."""
    runs = [document(text, project=project, stream=f"agent_run-{number}") for number, text in enumerate(texts, 1)]
    index.add(runs, generation=0)


def versions(index: SearchIndex, project: str, stream: str, sought: Needle) -> list[int]:
    """Return the versions of a run's events that an index finds."""
    return list(index.in_run(project, stream, sought).versions)


def promised(text: str, typed: str) -> bool:
    """Return by reading every place whether a needle must be found: the slow way, without words or an index."""
    folded, sought = fold(text), fold(tidy(typed))
    at = folded.find(sought)
    while at >= 0:
        if _begins_a_part(text, at) and _ends_right(folded, at, sought):
            return True
        at = folded.find(sought, at + 1)
    return False


def _is_unspaced(character: str) -> bool:
    return any(first <= character <= last for first, last in UNSPACED)


def _is_of_word(character: str) -> bool:
    return character.isalnum() and not _is_unspaced(character)


def _begins_a_part(text: str, at: int) -> bool:
    folded = fold(text)
    if not _is_of_word(folded[at]):
        return True
    begin, end = at, at
    while begin and _is_of_word(folded[begin - 1]):
        begin -= 1
    while end < len(text) and _is_of_word(folded[end]):
        end += 1
    return at - begin in starts_of(text[begin:end])


def _ends_right(folded: str, at: int, sought: str) -> bool:
    """A last word of one letter is whole."""
    if not _is_of_word(sought[-1]) or (len(sought) > 1 and _is_of_word(sought[-2])):
        return True
    return not _is_of_word(folded[at + len(sought) : at + len(sought) + 1] or " ")


class IndexContract:
    """The promises, one test each. Projects are new in each test: servers keep what tests leave."""

    @pytest.fixture
    def project(self) -> str:
        """A project of one's own."""
        return f"search-{next(_serial)}"

    def test_what_a_person_expects_is_found(self, index: SearchIndex, project: str) -> None:
        """Phrases, paths, options, identifiers, numbers, scripts without spaces; without regard to case or spacing."""
        add_as_runs(index, project, [text for text, _ in FOUND])
        for number, (text, typed) in enumerate(FOUND, 1):
            assert versions(index, project, f"agent_run-{number}", needle(typed)) == [1], (text, typed)
            (hits,) = index.runs(project, [needle(typed)])
            assert search.RunHit(stream=f"agent_run-{number}", version=1) in hits.runs, (text, typed)

    def test_what_does_not_hold_it_is_not_found(self, index: SearchIndex, project: str) -> None:
        """Every sign counts, also those that no index keeps; without a letter or a digit nothing is looked for."""
        add_as_runs(index, project, [text for text, _ in NOT_FOUND])
        for number, (text, typed) in enumerate(NOT_FOUND, 1):
            assert versions(index, project, f"agent_run-{number}", needle(typed)) == [], (text, typed)
            (hits,) = index.runs(project, [needle(typed)])
            assert f"agent_run-{number}" not in [hit.stream for hit in hits.runs], (text, typed)

    def test_it_finds_what_reading_everything_finds(self, index: SearchIndex) -> None:
        """Against reading every place of every text: nothing that is promised is missed, nothing else is found."""

        @settings(max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow])
        @given(texts=st.lists(TEXTS.filter(str.strip), min_size=1, max_size=5), data=st.data())
        def compare(texts: list[str], data: st.DataObject) -> None:
            project = f"search-{next(_serial)}"
            documents = [document(text, project=project, version=at) for at, text in enumerate(texts, 1)]
            index.add(documents, generation=0)
            source = data.draw(st.sampled_from([*(one.text for one in documents), *WORDS]))
            begin = data.draw(st.integers(0, len(source) - 1))
            typed = source[begin : begin + data.draw(st.integers(1, 12))]
            sought = needle(typed)
            found = set(versions(index, project, "agent_run-1", sought))
            assert found <= {one.version for one in documents if sought.folded in fold(one.text)}
            if sought:
                assert found >= {one.version for one in documents if promised(one.text, typed)}
            across = index.runs(project, [sought])[0]
            assert [hit.version for hit in across.runs] == ([min(found)] if found else [])
            assert across.is_all

        compare()

    def test_projects_and_runs_are_apart(self, index: SearchIndex, project: str) -> None:
        """Neither a stream of the same name in another project nor another stream of the project is looked at."""
        other = f"{project}-other"
        index.add(
            [
                document("a needle", project=project),
                document("a needle", project=project, stream="agent_run-2", version=3),
                document("a needle", project=other),
            ],
            generation=0,
        )
        assert versions(index, project, "agent_run-2", needle("needle")) == [3]
        assert versions(index, other, "agent_run-2", needle("needle")) == []
        hits = index.runs(project, [needle("needle"), needle("nothing")])
        assert [hit.stream for hit in hits[0].runs] == ["agent_run-2", "agent_run-1"]
        assert hits[1].runs == ()

    def test_what_is_not_listed_is_found_inside_alone(self, index: SearchIndex, project: str) -> None:
        """The runtime's own streams are nobody's run."""
        index.add([document("a needle", project=project, stream="job-1", is_listed=False)], generation=0)
        assert versions(index, project, "job-1", needle("needle")) == [1]
        assert index.runs(project, [needle("needle")])[0].runs == ()

    def test_another_generation_is_not_seen(self, index: SearchIndex, project: str) -> None:
        """Rows that are being built are not live; adding a row that is there changes nothing."""
        index.add([document("a needle", project=project)], generation=7)
        assert versions(index, project, "agent_run-1", needle("needle")) == []
        index.add([document("a needle", project=project)], generation=0)
        index.add([document("another", project=project)], generation=0)
        assert versions(index, project, "agent_run-1", needle("needle")) == [1]

    def test_what_is_forgotten_is_nowhere(self, index: SearchIndex, project: str) -> None:
        """In no generation and in no passage; the words of others stay; another project's event of that id too."""
        one, two = (document("shared needle", project=project, version=version) for version in (1, 2))
        for generation in (0, 7):
            index.add([one, two], generation=generation)
        assert index.forget(f"{project}-other", [one.event_id]) == 0
        assert index.forget(project, [one.event_id]) == 2
        index.sweep()
        assert versions(index, project, "agent_run-1", needle("needle")) == [2]
        assert index.passages(project, [("agent_run-1", 1)], needle("needle")) == {}
        assert index.forget(project, [one.event_id]) == 0

    def test_a_text_of_too_many_words_is_found_by_its_beginning(self, index: SearchIndex, project: str) -> None:
        """Characters that are rare, each pair of them another word: it is taken, and where it ends it says so."""
        rare = "".join(map(chr, range(0x20000, 0x2FFFF)))[: LIMIT - 20]
        texts = [document(f"first {rare} last", project=project), document("last", project=project, version=2)]
        index.add(texts, generation=0)
        assert versions(index, project, "agent_run-1", needle("first")) == [1]
        assert versions(index, project, "agent_run-1", needle(rare[1_000:1_003])) == [1]
        is_whole = 1 in versions(index, project, "agent_run-1", needle("last"))
        shown = index.passages(project, [("agent_run-1", 1)], needle("first"))["agent_run-1", 1]
        assert shown.is_cut is not is_whole
        assert 2 in versions(index, project, "agent_run-1", needle("last"))

    def test_a_passage_shows_the_hit(self, index: SearchIndex, project: str) -> None:
        """In the letters of the text, marked by place; long texts are cut around it by the database."""
        long = "lorem ipsum " * 2000
        index.add(
            [
                document(f"{long} the Größe of <b>it</b> {long}", project=project),
                document("GRÖSSE größe", project=project, version=2),
                document("nothing", project=project, version=3),
            ],
            generation=0,
        )
        found = index.passages_between(project, "agent_run-1", needle("größe"), after=0, until=9)
        assert sorted(found) == [1, 2]
        assert [part.text for part in found[1].parts if part.is_hit] == ["Größe"]
        assert "of <b>it</b> lorem" in found[1].text
        assert found[1].text.startswith("…")
        assert found[1].text.endswith("…")
        assert len(found[1].text) < 260
        assert [(part.text, part.is_hit) for part in found[2].parts] == [("GRÖSSE ", False), ("größe", True)]
        places = [("agent_run-1", 2), ("agent_run-1", 3)]
        assert index.passages(project, places, needle("größe")) == {places[0]: found[2]}

    def test_events_are_found_over_all_runs_newest_first(
        self, index: SearchIndex, project: str, using: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each with its whole text, for several needles at once: one query. What is looked at at most is said."""
        texts = {1: "rate 0.01084", 2: "RATE 0.01084\nand more", 3: "10.01084", 4: "nothing"}
        for run in ("agent_run-1", "agent_run-2"):
            index.add(
                [document(text, project=project, version=at, stream=run) for at, text in texts.items()], generation=0
            )
        index.add([document("rate 0.01084", project=project, stream="job-1", is_listed=False)], generation=0)
        sought = [needle("rate 0.01084"), needle("--"), needle("nobody")]
        with CaptureQueriesContext(connections[using]) as queries:
            found, nothing, nobody = index.events(project, sought)
        assert len(queries) == 1
        assert [(hit.stream, hit.version) for hit in found.hits] == [
            ("agent_run-2", 2), ("agent_run-2", 1), ("agent_run-1", 2), ("agent_run-1", 1),
        ]  # fmt: skip
        assert found.hits[0].text == texts[2]
        assert (found.is_all, nothing.hits, nobody.hits, nobody.is_all) == (True, (), (), True)
        monkeypatch.setattr(search, "ACROSS", 2)
        assert not index.events(project, sought)[0].is_all

    def test_each_question_is_one_query(self, index: SearchIndex, project: str, using: str) -> None:
        """Whatever the number of needles and of events."""
        index.add([document(f"a needle {at}", project=project, version=at) for at in range(1, 40)], generation=0)
        asked: list[Callable[[], Sized]] = [
            lambda: index.in_run(project, "agent_run-1", needle("needle")).versions,
            lambda: index.in_run(project, "agent_run-1", needle("a needle")).versions,
            lambda: index.runs(project, [needle("needle"), needle("needle 7"), needle("none")]),
            lambda: index.passages(project, [("agent_run-1", at) for at in range(1, 40)], needle("needle")),
            lambda: index.passages_between(project, "agent_run-1", needle("needle"), after=0, until=40),
        ]
        for ask in asked:
            with CaptureQueriesContext(connections[using]) as queries:
                assert len(ask()) > 0
            assert len(queries) == 1

    def test_looking_stops_and_says_so(self, index: SearchIndex, project: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Across runs the newest events are looked at, also where none of them holds the needle in the end."""
        monkeypatch.setattr(search, "ACROSS", 5)
        documents = [
            document("a needle, here" if at == 1 else "needle a", project=project, stream=f"agent_run-{at}")
            for at in range(1, 9)
        ]
        index.add(documents, generation=0)
        everywhere, phrase = index.runs(project, [needle("needle"), needle("a needle")])
        assert [hit.stream for hit in everywhere.runs] == [f"agent_run-{at}" for at in (8, 7, 6, 5, 4)]
        assert (phrase.runs, everywhere.is_all, phrase.is_all) == ((), False, False)

    def test_looking_in_a_run_stops_and_says_so(
        self, index: SearchIndex, project: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first events are looked at, also where none of them holds the needle in the end."""
        monkeypatch.setattr(search, "IN_RUN", 5)
        texts = [document("needle a", project=project, version=version) for version in range(1, 9)]
        index.add([*texts, document("needle", project=project, stream="agent_run-2")], generation=0)
        assert index.in_run(project, "agent_run-1", needle("needle")) == search.InRun(
            versions=(1, 2, 3, 4, 5), is_all=False
        )
        assert index.in_run(project, "agent_run-1", needle("a needle")) == search.InRun(versions=(), is_all=False)
        assert index.in_run(project, "agent_run-2", needle("needle")).is_all
