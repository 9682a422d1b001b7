"""What strings and message lists of an Inspect sample stand for: attachments, pools of messages. Registers nothing."""

from __future__ import annotations

from typing import Any, Final

from journal.ingest.lenient import as_dict, as_list, dicts

_ATTACHMENT: Final = "attachment://"
_RESOLVED_CHARACTERS: Final = 256 * 2**20


class Attachments:
    """Puts long texts back where a log has `attachment://<hash>`.

    What is put in is bounded, since one long text can be named any number of times; past the bound, and for an
    unknown hash, the reference stays as it is.
    """

    def __init__(self, texts: object) -> None:
        self._texts = as_dict(texts)
        self._left = _RESOLVED_CHARACTERS

    def resolve(self, value: Any) -> Any:
        """Return the value with the texts in, at any depth (the reader has bounded it)."""
        if isinstance(value, str):
            return self._text(value) if value.startswith(_ATTACHMENT) else value
        if isinstance(value, dict):
            return {key: self.resolve(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        return value

    def _text(self, reference: str) -> str:
        text = self._texts.get(reference.removeprefix(_ATTACHMENT))
        if not isinstance(text, str) or len(text) > self._left:
            return reference
        self._left -= len(text)
        return text


def message_pool(sample: dict[str, Any]) -> list[Any]:
    """Return the messages that newer logs keep once for all model events of a sample."""
    return as_list(as_dict(sample.get("events_data")).get("messages")) or as_list(sample.get("message_pool"))


def messages_sent(event: dict[str, Any], pool: list[Any]) -> list[dict[str, Any]]:
    """Return what a model event was sent: its own `input`, or what `input_refs` names of the pool.

    A reference is a range, first and end, or one place. No more than the pool holds is taken from it.
    """
    sent = dicts(event.get("input"))
    for reference in as_list(event.get("input_refs")):
        match reference:
            case [int(first), int(end)]:
                places = slice(first, end)
            case int(place):
                places = slice(place, place + 1)
            case _:
                continue
        if places.start >= 0 and len(sent) <= len(pool):
            sent += dicts(pool[places])
    return sent
