"""The analyst: questions of figures, answered by queries on the shop's database."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from nagare_web.demo.shop import GOODS, PEOPLE
from nagare_web.demo.turns import Policy, Step, Turn, View, answering, calling, script

TOOLS: Final = ("query", "exchange_rate")
_COUNTRIES: Final = ("AT", "DE", "FR", "IE", "NL")


_QUESTIONS: Final = (
    (
        "How often was {goods} sold?",
        "SELECT COUNT(*) AS orders, SUM(quantity) AS pieces FROM orders WHERE sku = '{sku}'",
    ),
    (
        "What did customers in {country} spend?",
        "SELECT SUM(total_eur) AS spent FROM orders JOIN customers c ON c.id = customer WHERE country = '{country}'",
    ),
    (
        "Which are the biggest orders of {customer}?",
        "SELECT number, total_eur FROM orders WHERE customer = '{customer}' ORDER BY total_eur DESC LIMIT 5",
    ),
    (
        "Which carrier brings {goods}?",
        "SELECT carrier, COUNT(*) AS parcels FROM orders WHERE sku = '{sku}' GROUP BY carrier",
    ),
)


def queries(rng: Random, count: int) -> list[tuple[str, str]]:
    """Return as many questions as asked for, each with the query that answers it."""
    found = []
    for _ in range(count):
        sku, goods, _ = rng.choice(GOODS)
        given = {"sku": sku, "goods": goods, "country": rng.choice(_COUNTRIES), "customer": rng.choice(PEOPLE)[0]}
        question, sql = rng.choice(_QUESTIONS)
        found.append((question.format(**given), sql.format(**given)))
    return found


def digs(questions: Sequence[tuple[str, str]], *, slips: bool = False, compacts_every: int = 0) -> Policy:
    """Ask the database one question after the other; a slip is a misspelt column, corrected on the next turn."""
    steps: list[Step] = []
    for at, (question, sql) in enumerate(questions, 1):
        if slips and at == 1:
            steps.append(calling(question, "query", sql=sql.replace("FROM orders", "FROM order_lines")))
            question = f"The table is called orders. Again: {question}"  # noqa: PLW2901
        is_full = compacts_every and at % compacts_every == 0
        turn = calling(question, "query", sql=sql)
        steps.append(
            Turn(says=turn.says, calls=turn.calls, summary=f"{at} questions answered so far.") if is_full else turn
        )
    return script(*steps, _figures)


def _figures(view: View) -> Turn:
    found = view.results("query")
    figures = "; ".join(
        ", ".join(f"{name} {value}" for name, value in row.items()) for item in found[-3:] for row in item.value[:2]
    )
    return answering(f"The figures: {figures or 'nothing was found'}.", *found[-3:])


def sales_in(currency: str, days: int) -> Policy:
    """Say what was sold lately, in a foreign currency by the rate as the feed has it."""
    sql = (
        "SELECT ROUND(SUM(total_eur), 2) AS sold_eur FROM orders"  # noqa: S608 -- our own numbers
        f" WHERE ordered_at > (SELECT DATETIME(MAX(ordered_at), '-{days} days') FROM orders)"
    )
    return script(
        calling(f"First the sales of the last {days} days.", "query", sql=sql),
        calling(f"Then the rate for {currency}.", "exchange_rate", currency=currency),
        lambda view: _sold(view, currency, days),
    )


def _sold(view: View, currency: str, days: int) -> Turn:
    sold, rate = view.result("query"), view.result("exchange_rate")
    euros = sold.value[0]["sold_eur"] or 0
    return answering(
        f"In the last {days} days we sold {euros:,.2f} EUR, that is {euros * rate.value['rate']:,.2f} {currency} "
        f"at a rate of {rate.value['rate']}.",
        sold,
        rate,
    )


def charged_twice(customer: str) -> Policy:
    """Look for orders of the same goods, placed by one customer on one day."""
    sql = (
        "SELECT sku, DATE(ordered_at) AS day, COUNT(*) AS orders FROM orders"  # noqa: S608 -- our own names
        f" WHERE customer = '{customer}' GROUP BY sku, day HAVING COUNT(*) > 1"
    )
    return script(
        calling("Orders of the same goods on the same day would show it.", "query", sql=sql),
        calling(
            "And the refunds already given.",
            "query",
            sql="SELECT r.order_number, r.amount_eur FROM refunds r JOIN orders o ON o.number = r.order_number"  # noqa: S608
            f" WHERE o.customer = '{customer}'",
        ),
        _twice,
    )


def _twice(view: View) -> Turn:
    doubles, refunds = view.results("query")[-2:]
    found = f"{len(doubles.value)} days with the same goods twice" if doubles.value else "no order was charged twice"
    return answering(f"For this customer there were {found}, and {len(refunds.value)} refunds.", doubles, refunds)


def keeps_asking() -> Policy:
    """Send the same broken query again and again, whatever comes back."""
    return script(calling("That should work. Once more.", "query", sql="SELECT month, total FROM sales_by_month"))
