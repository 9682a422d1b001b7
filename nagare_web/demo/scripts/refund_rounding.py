"""The failing test test_refund_rounding, twice: an agent that edits what it has never read, and one that reads first.

The first needs 200 events. Its edit at 23 rests on one line of a grep, so it breaks a line that it has not seen, and it
makes a Decimal of a float, which is what `money.to_decimal` warns of; it learns both much later.
"""

from __future__ import annotations

from typing import Final

from nagare_web.demo.turns import Call, Policy, Step, Turn, View, answering, calling, script

PROMPT: Final = "Fix the failing test test_refund_rounding in billing/. Do not change the tests."
EDITED: Final = "billing/refunds.py"
STATED_REASON: Final = (
    "The grep at the previous step already showed line 88 uses round(x, 2); "
    "I believe I have seen the file, so I will edit directly instead of reading."
)

_ROUND: Final = "    return round(x, 2)"
_OF_FLOAT: Final = "    return Decimal(x).quantize(CENT, ROUND_HALF_UP)"
_OF_TEXT: Final = "    return Decimal(str(x)).quantize(CENT, ROUND_HALF_UP)"
_TO_CENTS: Final = "    return to_cents(x)"
_WEIGHTED: Final = "    return rounded(rounded(total) * weight)"
_WEIGHTED_BY_TEXT: Final = "    return rounded(rounded(total) * Decimal(str(weight)))"
_LINE_TOTAL: Final = "    return round(line.amount * line.price, 2)"
_LINE_TOTAL_DECIMAL: Final = "    return to_cents(line.amount * to_decimal(line.price))"
_IMPORT_TAX: Final = "from billing.tax import tax_on"
_IMPORT_MONEY: Final = "from billing.money import to_cents, to_decimal\nfrom billing.tax import tax_on"

_SUMMARY: Final = (
    "Task: make test_refund_rounding pass, tests unchanged. billing/refunds.py: line 88 rounds by Decimal.quantize, "
    "line 131 takes the weight by its text. 43 of 44 tests pass; half of 79.97 still gives 39.98 instead of 39.99. "
    "Invoices were changed and changed back: tax rates are floats. Vouchers and currency go through to_decimal()."
)


def _edit(says: str, path: str, old: str, new: str) -> Turn:
    return calling(says, "edit_file", path=path, old=old, new=new)


def _read(says: str, path: str) -> Turn:
    return calling(says, "read_file", path=path)


def _grep(says: str, pattern: str, path: str) -> Turn:
    return calling(says, "grep", pattern=pattern, path=path)


def _test(says: str, path: str = "tests/") -> Turn:
    return calling(says, "run_tests", path=path)


_OPENING: Final[tuple[Step, ...]] = (
    calling("I will look at the folder first.", "list_dir", path="billing/"),
    Turn(
        says="Amounts are rounded in money.py, so I will read the test and that file.",
        calls=(
            Call(tool="read_file", arguments={"path": "tests/test_refunds.py"}),
            Call(tool="read_file", arguments={"path": "billing/money.py"}),
        ),
    ),
    _test("Run the test to see the actual difference.", "tests/test_refunds.py"),
    _grep("39.985 became 39.98, so I need every use of round().", "round(", "billing/"),
)


def _edit_unread(view: View) -> Turn:
    """Edit line 88 on the strength of the grep: the step this run is about."""
    match, failure = view.result("grep"), view.newest("failure")
    call = Call(tool="edit_file", arguments={"path": EDITED, "old": _ROUND, "new": _OF_FLOAT}, uses=(match,))
    return Turn(says=STATED_REASON, calls=(call,), uses=(match,), rereads=(failure,) if failure else ())


_REPAIR: Final[tuple[Step, ...]] = (
    _test("Check the edit against the suite."),
    _edit(
        "The refund path rounds twice; I will change line 131 as well.",
        EDITED,
        "    return round(total * weight, 2)",
        "    return Decimal(total * weight).quantize(CENT, ROUND_HALF_UP)",
    ),
    _read("Line 131 is not what I took it for. I will read the file now.", EDITED),
    _edit("The weight is a float and the amount is now a Decimal.", EDITED, _WEIGHTED, _WEIGHTED_BY_TEXT),
    _test("That should bring the two broken tests back."),
)

_ASTRAY: Final[tuple[Step, ...]] = (
    _grep("Still a cent short. I will see who calls refund_amount.", "refund_amount", "."),
    _read("The price may be wrong before it arrives here. I will look at the invoices.", "billing/invoices.py"),
    _read("Invoices round in three places, and then comes the tax.", "billing/tax.py"),
    _grep("Which modules use Decimal at all?", "Decimal", "billing/"),
    _edit(
        "Invoices should be Decimal from the start. First the import.",
        "billing/invoices.py",
        _IMPORT_TAX,
        _IMPORT_MONEY,
    ),
    _edit("Then the line total.", "billing/invoices.py", _LINE_TOTAL, _LINE_TOTAL_DECIMAL),
    _test("Check the invoices.", "tests/test_invoices.py"),
    _edit(
        "Tax rates are floats; this goes too far for a refund. I take the line total back.",
        "billing/invoices.py",
        _LINE_TOTAL_DECIMAL,
        _LINE_TOTAL,
    ),
    _edit("And the import.", "billing/invoices.py", _IMPORT_MONEY, _IMPORT_TAX),
    _test("The invoices must be as before.", "tests/test_invoices.py"),
    _read("Back to the refund. What does the ledger do with the amount?", "billing/ledger.py"),
    _grep("The ledger takes text. Where is that text made?", "plain(", "."),
    _read("The report shows amounts too.", "billing/report.py"),
    _test("Is the report fine?", "tests/test_report.py"),
    _read("Vouchers round as well, and their tests pass.", "billing/vouchers.py"),
    _grep("Vouchers go through to_decimal first. Who else does?", "to_decimal", "."),
    _read("What do the tests of money.py promise?", "tests/test_money.py"),
    _test("Do they pass?", "tests/test_money.py"),
    Turn(
        says="Currency is the other user of to_decimal.",
        calls=(Call(tool="read_file", arguments={"path": "billing/currency.py"}),),
        summary=_SUMMARY,
    ),
)

_FOUND: Final[tuple[Step, ...]] = (
    _read("I will read the refunds again, as they are now.", EDITED),
    _test("And see the failure once more.", "tests/test_refunds.py"),
    _grep("39.98 again. Where do we make a Decimal, and of what?", "Decimal(", "billing/"),
    _read("to_decimal goes by str(). Its docstring may say why.", "billing/money.py"),
    _edit(
        "There it is: line 88 makes a Decimal of a float, 39.98499…, and rounds that. It must go by its text.",
        EDITED,
        _OF_FLOAT,
        _OF_TEXT,
    ),
    _test("Check the refunds.", "tests/test_refunds.py"),
    _test("And everything."),
    _edit(
        "All pass. money.to_cents does exactly this; I will use it. First the import.",
        EDITED,
        "from billing.money import CENT, plain\n",
        "from billing.money import CENT, plain, to_cents\n",
    ),
    _edit("Then line 88.", EDITED, _OF_TEXT, _TO_CENTS),
    _test("Check the refunds.", "tests/test_refunds.py"),
    _grep("Are there floats left on this path?", "float", EDITED),
    _grep("Does anything else split refunds?", "split_refund", "."),
    _edit(
        "Say in the docstring which way halves go.",
        EDITED,
        "whole refunds and shares of one.\n",
        "whole refunds and shares of one.\n    Halves go up, as everywhere in billing.money.\n",
    ),
    _test("Check everything again."),
    _read("The change belongs into the list of changes.", "CHANGES.md"),
    _edit(
        "Add a line for it.",
        "CHANGES.md",
        "## 4.11\n\n",
        "## 4.11\n\n- Refunds round halves up, to the customer's favour.\n",
    ),
    _grep("What still uses round()?", "round(", "billing/"),
    _read("One last look at the file.", EDITED),
    _test("And one last run of all tests."),
)


def _report(view: View) -> Turn:
    """Say what was done, with the number of passing tests as the last run gave it."""
    tests = view.result("run_tests")
    answer = (
        f"test_refund_rounding passes, and so do all {tests.value['passed']} tests. Line 88 of {EDITED} rounded a "
        "float; it now goes through money.to_cents, and the weight in line 131 is a Decimal. I first edited the "
        "file without having read it, which broke two other tests on the way."
    )
    return answering(answer, tests)


def edits_unread() -> Policy:
    """Return the run of 200 events: edits at 23 what it saw as one grep match at 20, and reads it at 35."""
    return script(*_OPENING, _edit_unread, *_REPAIR, *_ASTRAY, *_FOUND, _report)


def reads_first() -> Policy:
    """Return the run that is the same up to the grep, then reads the file and is done in two edits."""
    edits = Turn(
        says="Line 88 must go by the text of x, and line 131 multiplies by a float weight. Both change together.",
        calls=(
            Call(tool="edit_file", arguments={"path": EDITED, "old": _ROUND, "new": _OF_TEXT}),
            Call(tool="edit_file", arguments={"path": EDITED, "old": _WEIGHTED, "new": _WEIGHTED_BY_TEXT}),
        ),
    )
    return script(
        *_OPENING,
        _read("Line 88 looks right, but I have not read the file yet.", EDITED),
        edits,
        _test("Check everything."),
        lambda view: answering(
            f"test_refund_rounding passes, and so do all {view.result('run_tests').value['passed']} tests. "
            f"{EDITED} rounds by Decimal now, in lines 88 and 131.",
            view.result("run_tests"),
        ),
    )
