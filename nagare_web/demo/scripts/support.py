"""The support agent: orders, refunds, mails, amounts in other currencies, and the policy it is told to follow."""

from __future__ import annotations

from typing import Any, Final

from nagare_web.demo.turns import Call, HandOff, Policy, Seen, Turn, View, answering, calling, script

TOOLS: Final = (
    "find_order",
    "list_orders",
    "price_of",
    "exchange_rate",
    "read_policy",
    "ask_approval",
    "refund",
    "send_mail",
)
INSTRUCTIONS: Final = (
    "You answer customers of Kawa & Mills. Look things up before you state them. A refund above 500 EUR needs the "
    "approval of a team lead. Amounts have two places."
)
NEEDS_APPROVAL_EUR: Final = 500


def where_is(order: int) -> Policy:
    """Look an order up and say where it is."""
    return script(calling(f"I will look up order {order}.", "find_order", order=order), _whereabouts)


def _whereabouts(view: View) -> Turn:
    if view.has_failed:
        return answering("I cannot find this order. Please check the number; it has five digits and begins with 88.")
    found = view.result("find_order")
    order = found.value
    return answering(
        f"Order {order['number']} is {order['status']}, with {order['carrier']}. "
        f"It was placed on {order['ordered_at'][:10]}.",
        found,
    )


def wrong_number(order: int, customer: str) -> Policy:
    """Fail to find an order, and find it among the customer's."""
    return script(
        calling(f"I will look up order {order}.", "find_order", order=order),
        calling("There is no such order. I will look at the customer's own orders.", "list_orders", customer=customer),
        _likely_order,
    )


def _likely_order(view: View) -> Turn:
    listed = view.result("list_orders")
    if not listed.value:
        return answering("I found no order of yours. Could you send me the confirmation mail?", listed)
    newest = listed.value[0]
    return answering(
        f"Do you mean order {newest['number']} over {newest['total_eur']:.2f} EUR? It is {newest['status']}.", listed
    )


def history(customer: str, limit: int) -> Policy:
    """Go through a customer's newest orders one by one, with the price of each product today."""

    def policy(view: View) -> Turn:
        if view.turns == 0:
            return calling("I will list the orders first.", "list_orders", customer=customer, limit=limit)
        listed = view.result("list_orders")
        at = view.turns - 1
        if at < len(listed.value):
            order = listed.value[at]
            return Turn(
                says=f"Order {order['number']}: what does {order['sku']} cost today?",
                calls=(
                    Call(tool="find_order", arguments={"order": order["number"]}, uses=(listed,)),
                    Call(tool="price_of", arguments={"sku": order["sku"]}, uses=(listed,)),
                ),
            )
        total = sum(order["total_eur"] for order in listed.value)
        return answering(
            f"{len(listed.value)} orders, {total:.2f} EUR in total. All prices are as they are today.", listed
        )

    return policy


def gives_refund(order: int, customer: str, *, asks: bool = True) -> Policy:
    """Refund an order and tell the customer; above the limit ask first, unless this run forgets to."""
    return script(
        Turn(
            says="I will look up the order and the return policy.",
            calls=(
                Call(tool="find_order", arguments={"order": order}),
                Call(tool="read_policy", arguments={"name": "returns"}),
            ),
        ),
        lambda view: _ask_or_refund(view, asks=asks),
        lambda view: _refund_or_mail(view, customer),
        lambda view: _mail_or_close(view, customer),
        _close,
    )


def _ask_or_refund(view: View, *, asks: bool) -> Turn:
    found = view.result("find_order")
    amount = found.value["total_eur"]
    if amount > NEEDS_APPROVAL_EUR and asks:
        call = Call(
            tool="ask_approval", arguments={"order": found.value["number"], "amount_eur": amount}, uses=(found,)
        )
        return Turn(says=f"{amount:.2f} EUR is above the limit; I ask for approval.", calls=(call,), uses=(found,))
    return _refund(view, found, None)


def _refund(view: View, found: Seen, allowed_by: Seen | None) -> Turn:
    order = found.value
    call = Call(
        tool="refund",
        arguments={"order": order["number"], "amount_eur": order["total_eur"]},
        uses=(found,),
        allowed_by=allowed_by,
    )
    return Turn(
        says=f"I refund {order['total_eur']:.2f} EUR for order {order['number']}.", calls=(call,), uses=(found,)
    )


def _refund_or_mail(view: View, customer: str) -> Turn:
    reply = view.newest("message")
    if view.results("ask_approval") and not view.results("refund") and reply is not None:
        if not reply.text.startswith("Approved"):
            return Turn(says="The team lead takes over.", gives_up="not approved; passed to the team lead")
        return _refund(view, view.result("find_order"), reply)
    return _mail_or_close(view, customer)


def _mail_or_close(view: View, customer: str) -> Turn:
    if view.has_failed or view.results("send_mail"):
        return _close(view)
    booked = view.result("refund")
    amount = f"{booked.value['amount_eur']:.2f} EUR"
    body = f"We refund {amount} for order {booked.value['order']}. It takes three to five working days."
    call = Call(tool="send_mail", arguments={"to": customer, "subject": "Your refund", "body": body}, uses=(booked,))
    return Turn(says="I tell the customer by mail.", calls=(call,))


def _close(view: View) -> Turn:
    failure = view.newest("failure")
    booked = view.results("refund")
    if failure is not None and not booked:
        return answering(f"There is nothing left to refund: {failure.text}.", failure)
    amount = f"{booked[-1].value['amount_eur']:.2f} EUR"
    told = "The mail could not be delivered." if failure is not None else "You have a mail about it."
    return answering(f"I have refunded {amount} for order {booked[-1].value['order']}. {told}", booked[-1])


def converts(order: int, currency: str) -> Policy:
    """Say what an order is worth in another currency, by the rate as the feed has it."""
    return script(
        calling(f"I will look up order {order}.", "find_order", order=order),
        lambda view: Turn(
            says=f"Now the rate for {currency}.",
            calls=(Call(tool="exchange_rate", arguments={"currency": currency}),),
            uses=(view.result("find_order"),),
        ),
        lambda view: _converted(view, currency),
    )


def _converted(view: View, currency: str) -> Turn:
    found, rate = view.result("find_order"), view.result("exchange_rate")
    euros = found.value["total_eur"]
    return answering(
        f"Order {found.value['number']} cost {euros:.2f} EUR, which is {euros * rate.value['rate']:,.2f} {currency} "
        f"at a rate of {rate.value['rate']}.",
        found,
        rate,
    )


def may_return(customer: str, number: int, days: int) -> Policy:
    """Say whether goods may still come back, by the policy as the search index gives it."""
    return script(
        calling("I will look at the customer's orders.", "list_orders", customer=customer, limit=40),
        calling("And at the return policy.", "read_policy", name="returns"),
        lambda view: _by_policy(view, number, days),
    )


def _by_policy(view: View, number: int, days: int) -> Turn:
    policy = view.result("read_policy")
    allowed = _days_in(policy.value)
    may = "You may send it back" if days <= allowed else "I am sorry, you can no longer send it back"
    return answering(
        f"{may}: order {number} is {days} days old, and our policy allows {allowed} days.",
        view.result("list_orders"),
        policy,
    )


def _days_in(policy: dict[str, Any]) -> int:
    words = str(policy["text"]).split()
    return int(words[words.index("days") - 1])


def makes_good(customer: str, number: int) -> Policy:
    """Answer a complaint: see that the earlier answer was wrong, have a refund approved, book it, say sorry."""
    return script(
        calling("I will look at the order.", "find_order", order=number),
        calling("And at the return policy as it is now.", "read_policy", name="returns"),
        lambda view: Turn(
            says="The policy allows 30 days: our first answer was wrong. That is long ago, so I ask for approval.",
            calls=(
                Call(
                    tool="ask_approval",
                    arguments={"order": number, "amount_eur": view.result("find_order").value["total_eur"]},
                    uses=(view.result("find_order"),),
                ),
            ),
            uses=(view.result("read_policy"),),
            remembers={f"complaint {customer}": f"order {number}: told 14 days, the policy said 30"},
        ),
        lambda view: _refund_or_mail(view, customer),
        lambda view: _mail_or_close(view, customer),
        _close,
    )


def asks_analyst(question: str) -> Policy:
    """Hand a question of figures to the analyst and pass the answer on."""
    return script(
        Turn(says="This is for the analyst.", hand_off=HandOff(to_agent="analyst", instruction=question)),
        _passed_on,
    )


def _passed_on(view: View) -> Turn:
    reply = view.newest("message")
    said = reply.text if reply is not None else "no answer"
    return answering(f"I asked our analyst. {said}", *((reply,) if reply is not None else ()))


def keeps_mailing(customer: str) -> Policy:
    """Send the same mail again and again, whatever comes back."""
    return script(
        calling(
            "The mail did not go out. I will try again.",
            "send_mail",
            to=customer,
            subject="Your refund",
            body="We refund 24.00 EUR. It takes three to five working days.",
        )
    )
