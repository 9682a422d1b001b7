"""The coder: small changes to the billing project, with more or less reading before and testing after."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from nagare_web.demo.turns import Call, HandOff, Policy, Step, Turn, View, answering, calling, script

TOOLS: Final = ("list_dir", "read_file", "grep", "edit_file", "create_file", "run_tests")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change somebody asks for: what to put where; an empty `old` makes a new file."""

    title: str
    path: str
    old: str
    new: str


CHANGES: Final = (
    Change(title="Change the VAT rate for Ireland to 23 %", path="billing/tax.py", old='"IE": 0.21', new='"IE": 0.23'),
    Change(
        title="Sell to Belgium, with 21 % tax",
        path="billing/tax.py",
        old='{"AT": 0.20,',
        new='{"AT": 0.20, "BE": 0.21,',
    ),
    Change(
        title="Start invoice numbers at 1000",
        path="billing/invoices.py",
        old="FIRST_NUMBER = 1\n",
        new="FIRST_NUMBER = 1000\n",
    ),
    Change(
        title="Payment terms are 21 days from now on",
        path="billing/invoices.py",
        old="TERMS_DAYS = 14",
        new="TERMS_DAYS = 21",
    ),
    Change(
        title="Ledger.balance has no docstring",
        path="billing/ledger.py",
        old="    def balance(self):\n",
        new='    def balance(self):\n        """Return the sum of all entries; refunds count against it."""\n',
    ),
    Change(
        title="Show Swedish kronor as kr", path="billing/money.py", old='{"EUR": "€"', new='{"SEK": "kr ", "EUR": "€"'
    ),
    Change(
        title="日本語の請求書テンプレートを追加してください",
        path="billing/templates/invoice_ja.txt",
        old="",
        new="請求書番号: {number}\n合計金額: {total}\nお支払い期限: {due}\n",
    ),
    Change(
        title="أضف تعليقًا يشرح سعر الصرف",
        path="billing/currency.py",
        old="in another currency.",
        new="in another currency; the rate is how much one euro buys.",
    ),
    Change(
        title="🔥 Hotfix: say the percentage when a voucher is refused",
        path="billing/vouchers.py",
        old="is not a percentage",
        new="is not between 0 and 100 per cent",
    ),
    Change(
        title="Explain in the README how to run one test file",
        path="README.md",
        old="`run_tests tests/`.",
        new="`run_tests tests/`, one file with\n`run_tests tests/test_tax.py`.",
    ),
    Change(
        title="Allow returns for 45 days", path="billing/refunds.py", old="RETURN_DAYS = 30", new="RETURN_DAYS = 45"
    ),
    Change(
        title="Raise the fee for opened goods to 20 %",
        path="billing/refunds.py",
        old="FEE_OPENED = 0.15",
        new="FEE_OPENED = 0.20",
    ),
)

_FILES: Final = (
    "billing/money.py",
    "billing/refunds.py",
    "billing/invoices.py",
    "billing/tax.py",
    "billing/report.py",
    "billing/ledger.py",
    "billing/currency.py",
    "billing/vouchers.py",
    "tests/test_refunds.py",
    "tests/test_money.py",
    "tests/test_invoices.py",
    "tests/test_tax.py",
    "README.md",
    "CHANGES.md",
)
_WORDS: Final = ("Decimal", "rounded", "import", "price", "rate", "number", "check(", "class ", "raise", "amount")
_SUITES: Final = (
    "tests/test_invoices.py",
    "tests/test_tax.py",
    "tests/test_money.py",
    "tests/test_vouchers.py",
    "tests/",
)


def changes(change: Change, rng: Random, *, looks: int, slips: bool = False) -> Policy:
    """Look around, make the change, test it, and take it back where a test says no.

    A slip is an edit of text that does not stand in the file, corrected on the next turn.
    """
    steps: list[Step] = [calling("I will look at the folder first.", "list_dir", path=".")]
    steps += [_look(rng) for _ in range(looks)]
    if change.old:
        steps.append(calling(f"I will read {change.path} before I change it.", "read_file", path=change.path))
    if slips and change.old:
        steps.append(_edit("That is the place.", change, old=f"{change.old.strip()}  # see below"))
    steps += [
        _make(change),
        calling("Check everything.", "run_tests", path="tests/"),
        lambda view: _finish(view, change),
        _close,
    ]
    return script(*steps)


def looks_around(rng: Random, looks: int) -> Policy:
    """Read, search and test, for as long as it takes."""
    return script(
        *(_look(rng) for _ in range(looks)),
        answering("Invoices round each line, the report rounds the sum; they may differ by a cent."),
    )


def _look(rng: Random) -> Turn:
    first, second = rng.sample(_FILES, 2)
    word, suite = rng.choice(_WORDS), rng.choice(_SUITES)
    kinds = ("read", "read", "read", "read", "read both", "search", "search", "search", "test", "test")
    match rng.choice(kinds):
        case "read":
            return calling(f"What does {first} say?", "read_file", path=first)
        case "read both":
            both = tuple(Call(tool="read_file", arguments={"path": path}) for path in (first, second))
            return Turn(says=f"I will read {first} and {second}.", calls=both)
        case "search":
            return calling(f"Where do we use {word.strip('( ')}?", "grep", pattern=word, path="billing/")
        case _:
            return calling(f"Do the tests of {suite} pass as it is?", "run_tests", path=suite)


def _edit(says: str, change: Change, *, old: str) -> Turn:
    return calling(says, "edit_file", path=change.path, old=old, new=change.new)


def _make(change: Change) -> Step:
    if not change.old:
        return calling("A new file will do.", "create_file", path=change.path, content=change.new)

    def make(view: View) -> Turn:
        read = view.results("read_file")
        call = Call(
            tool="edit_file",
            arguments={"path": change.path, "old": change.old, "new": change.new},
            uses=tuple(read[-1:]),
        )
        return Turn(says="Now the change itself.", calls=(call,), uses=tuple(read[-1:]))

    return make


def _finish(view: View, change: Change) -> Turn:
    failure = view.newest("failure")
    if view.has_failed and failure is not None and change.old:
        says = f"{failure.text.partition(chr(10))[0]}: a test expects the old behaviour. I take the change back."
        return calling(says, "edit_file", path=change.path, old=change.new, new=change.old)
    return _done(view)


def _done(view: View) -> Turn:
    tests = view.result("run_tests")
    return answering(f"Done. All {tests.value['passed']} tests pass.", tests)


def _close(view: View) -> Turn:
    failure = view.newest("failure")
    said = failure.text.partition("\n")[0] if failure is not None else "a test fails"
    return answering(
        f"I changed nothing: with the change, {said}. Someone must decide about that test first.",
        *((failure,) if failure else ()),
    )


def notes_with_writer(instruction: str) -> Policy:
    """Make sure that everything passes, then let the writer write the release note."""
    return script(
        calling("First all tests.", "run_tests", path="tests/"),
        Turn(says="The release note is for the writer.", hand_off=HandOff(to_agent="writer", instruction=instruction)),
        lambda view: answering(
            f"All {view.result('run_tests').value['passed']} tests pass. {_said(view)}",
            view.result("run_tests"),
            *view.items[-1:],
        ),
    )


def _said(view: View) -> str:
    reply = view.newest("message")
    return reply.text if reply is not None else ""


def keeps_editing() -> Policy:
    """Try the same edit of text that does not stand in the file, again and again."""
    return script(
        calling(
            "It must be there. I try once more.",
            "edit_file",
            path="billing/report.py",
            old="return round(100 * refunds / sales, 2)",
            new="return to_cents(100 * refunds / sales)",
        )
    )
