"""Tools on the shop's database: orders, refunds, mails, rates, policies, services, backups, free queries."""

from __future__ import annotations

import sqlite3
from typing import Any

from nagare_web.demo.shop import APPROVED_UP_TO_EUR
from nagare_web.demo.toolbox import Reply, ToolError, World, tool

_MOST_ROWS = 40


@tool(slowest_ms=60)
def find_order(world: World, *, order: int) -> dict[str, Any]:
    """Return one order."""
    found = world.shop.row("SELECT * FROM orders WHERE number = ?", order)
    if found is None:
        raise ToolError("not_found", f"there is no order {order}")
    return found


@tool(slowest_ms=90)
def list_orders(world: World, *, customer: str, limit: int = 5) -> list[dict[str, Any]]:
    """Return a customer's orders up to now, newest first."""
    return world.shop.rows(
        "SELECT number, sku, quantity, total_eur, status, ordered_at FROM orders"
        " WHERE customer = ? AND ordered_at <= ? ORDER BY ordered_at DESC LIMIT ?",
        customer,
        world.now,
        min(limit, _MOST_ROWS),
    )


@tool(slowest_ms=40)
def price_of(world: World, *, sku: str) -> dict[str, Any]:
    """Return a product with its price and stock."""
    found = world.shop.row("SELECT * FROM products WHERE sku = ?", sku)
    if found is None:
        raise ToolError("not_found", f"there is no product {sku}")
    return found


@tool(slowest_ms=300)
def exchange_rate(world: World, *, currency: str) -> dict[str, Any]:
    """Return how much of a currency one euro buys, by the newest rate the feed has written."""
    found = world.shop.row(
        "SELECT * FROM rates WHERE currency = ? AND valid_from <= ? ORDER BY valid_from DESC LIMIT 1",
        currency,
        world.now,
    )
    if found is None:
        raise ToolError("not_found", f"the feed has no rate for {currency}")
    return found


@tool(slowest_ms=110)
def read_policy(world: World, *, name: str) -> dict[str, Any]:
    """Return a policy as the search index has it, which may lag behind the policy itself."""
    found = world.shop.row(
        "SELECT p.name, p.version, i.indexed_at, p.text FROM policy_index i"
        " JOIN policies p ON p.name = i.name AND p.version = i.version"
        " WHERE i.name = ? AND i.indexed_at <= ? ORDER BY i.indexed_at DESC LIMIT 1",
        name,
        world.now,
    )
    if found is None:
        raise ToolError("not_found", f"there is no policy {name}")
    return found


@tool(slowest_ms=150)
def ask_approval(world: World, *, order: int, amount_eur: float) -> Reply:
    """Ask the team lead, who answers when the amount is not absurd."""
    row = world.shop.write(
        "INSERT INTO approvals (order_number, amount_eur, asked_by, asked_at) VALUES (?, ?, ?, ?)",
        order,
        amount_eur,
        world.agent,
        world.now,
    )
    yes = amount_eur <= APPROVED_UP_TO_EUR
    says = f"Approved: refund {amount_eur:.2f} EUR for order {order}." if yes else "Not approved. Please pass it to me."
    return Reply(value={"approval": row, "status": "asked"}, name="mara", says=says)


@tool(slowest_ms=200)
def refund(world: World, *, order: int, amount_eur: float) -> dict[str, Any]:
    """Book a refund, once for each order and never above what was paid."""
    paid = find_order(world, order=order)["total_eur"]
    if amount_eur > paid:
        raise ToolError("amount_too_high", f"order {order} cost {paid:.2f} EUR, {amount_eur:.2f} cannot be refunded")
    try:
        row = world.shop.write(
            "INSERT INTO refunds (order_number, amount_eur, booked_by, booked_at) VALUES (?, ?, ?, ?)",
            order,
            amount_eur,
            world.agent,
            world.now,
        )
    except sqlite3.IntegrityError:
        raise ToolError("already_refunded", f"order {order} has been refunded already") from None
    return {"refund": row, "order": order, "amount_eur": amount_eur}


@tool(slowest_ms=700)
def send_mail(world: World, *, to: str, subject: str, body: str) -> dict[str, Any]:
    """Put a mail to a customer into the outbox."""
    customer = world.shop.row("SELECT email, mailbox FROM customers WHERE id = ?", to)
    if customer is None:
        raise ToolError("unknown_recipient", f"there is no customer {to}")
    if customer["mailbox"] == "full":
        raise ToolError("mailbox_full", f"452 4.2.2 the mailbox of {customer['email']} is full; try again later")
    row = world.shop.write(
        "INSERT INTO mails (recipient, subject, body, sent_at) VALUES (?, ?, ?, ?)",
        customer["email"],
        subject,
        body,
        world.now,
    )
    return {"mail": row, "to": customer["email"]}


@tool(slowest_ms=900)
def query(world: World, *, sql: str) -> list[dict[str, Any]]:
    """Run a query that only reads; at most forty rows come back."""
    try:
        with world.shop.only_reading():
            return world.shop.rows(sql)[:_MOST_ROWS]
    except sqlite3.Error as error:
        raise ToolError("sql_error", str(error)) from error


@tool(slowest_ms=50)
def service_status(world: World, *, service: str) -> dict[str, Any]:
    """Return a service's state and memory."""
    found = world.shop.row("SELECT name, state, memory_mb FROM services WHERE name = ?", service)
    if found is None:
        raise ToolError("not_found", f"there is no service {service}")
    return found


@tool(slowest_ms=2400)
def restart_service(world: World, *, service: str) -> dict[str, Any]:
    """Restart a service, unless it is masked."""
    found = world.shop.row("SELECT * FROM services WHERE name = ?", service)
    if found is None:
        raise ToolError("not_found", f"there is no service {service}")
    if found["is_masked"]:
        raise ToolError("masked", f"cannot restart {service}: its unit is masked")
    world.shop.write("UPDATE services SET memory_mb = 90 WHERE name = ?", service)
    return {"service": service, "state": "running", "memory_mb": 90}


@tool(slowest_ms=140)
def list_tenants(world: World, *, after: str = "", limit: int = 10) -> list[str]:
    """Return the next tenants by name."""
    rows = world.shop.rows("SELECT tenant FROM backups WHERE tenant > ? ORDER BY tenant LIMIT ?", after, limit)
    return [row["tenant"] for row in rows]


@tool(slowest_ms=180)
def check_backup(world: World, *, tenant: str) -> dict[str, Any]:
    """Return a tenant's newest backup."""
    found = world.shop.row("SELECT * FROM backups WHERE tenant = ?", tenant)
    if found is None:
        raise ToolError("not_found", f"there is no tenant {tenant}")
    return found
