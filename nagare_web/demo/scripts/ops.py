"""The ops agent: services and backups."""

from __future__ import annotations

from typing import Final

from nagare_web.demo.shop import SERVICES
from nagare_web.demo.turns import Call, Policy, Seen, Turn, View, answering, calling, script

TOOLS: Final = ("service_status", "restart_service", "list_tenants", "check_backup", "query")
INSTRUCTIONS: Final = (
    "You look after the services of Kawa & Mills. Change as little as possible and say what you changed."
)
_TOO_MUCH_MB: Final = 600


def looks_after(count: int) -> Policy:
    """Look at some services and restart those that hold too much memory."""
    names = SERVICES[:count]

    def policy(view: View) -> Turn:
        seen = view.results("service_status")
        heavy = [item for item in seen if item.value["memory_mb"] > _TOO_MUCH_MB]
        tried = [item for item in view.items if item.kind == "call" and item.tool == "restart_service"]
        if len(seen) < len(names):
            return calling(f"How is {names[len(seen)]}?", "service_status", service=names[len(seen)])
        if len(tried) < len(heavy):
            return _restart(heavy[len(tried)])
        return answering(
            f"{len(seen)} services run. Of {len(heavy)} that held too much memory I restarted "
            f"{len(view.results('restart_service'))}.",
            *view.results("restart_service"),
        )

    return policy


def _restart(heavy: Seen) -> Turn:
    name = heavy.value["name"]
    call = Call(tool="restart_service", arguments={"service": name}, uses=(heavy,))
    return Turn(says=f"{name} holds {heavy.value['memory_mb']} MB; I restart it.", calls=(call,), uses=(heavy,))


def checks_backups(total: int, *, batch: int = 10, oldest: str) -> Policy:
    """Check every tenant's backup, a batch at a time; between batches only the summary stays in the context.

    `oldest` is the time before which a backup counts as late. What was found so far stands in the summary, so the next
    batch starts from it.
    """

    def policy(view: View) -> Turn:
        done, late = _so_far(view)
        results = view.results("check_backup")
        late += [item.value["tenant"] for item in results if item.value["taken_at"] < oldest]
        waiting = _waiting(view)
        if waiting:
            return _check(waiting[0], sorted(set(late)), is_last=len(waiting) == 1)
        if done < total:
            limit = min(batch, total - done)
            return calling(f"The next {limit} tenants.", "list_tenants", after=f"tenant-{done:03d}", limit=limit)
        return answering(
            f"All {total} backups are checked. Late: {', '.join(sorted(set(late))) or 'none'}.", *results[-1:]
        )

    return policy


def _waiting(view: View) -> list[str]:
    """Return the tenants of the batch in the context that have not been checked yet."""
    listed = view.results("list_tenants")
    checked = {item.value["tenant"] for item in view.results("check_backup")}
    return [tenant for tenant in listed[-1].value if tenant not in checked] if listed else []


def _check(tenant: str, late: list[str], *, is_last: bool) -> Turn:
    """Check a tenant; with the last of a batch, write down how far we are and let the context be compacted."""
    says, call = f"Is the backup of {tenant} there?", Call(tool="check_backup", arguments={"tenant": tenant})
    if not is_last:
        return Turn(says=says, calls=(call,))
    summary = f"Checked up to {tenant}. Late: {', '.join(late) or 'none'}."
    return Turn(says=says, calls=(call,), remembers={"backups checked up to": tenant}, summary=summary)


def _so_far(view: View) -> tuple[int, list[str]]:
    """Read from the newest summary how many tenants are done and which were late."""
    summary = view.newest("summary")
    if summary is None:
        return 0, []
    done, _, late = summary.text.removeprefix("Checked up to tenant-").partition(". Late: ")
    return int(done), [name for name in late.removesuffix(".").split(", ") if name != "none"]


def declines(reason: str) -> Policy:
    """Look, and stop without changing anything."""
    return script(
        calling("I will see which tenants there are.", "list_tenants", limit=5),
        Turn(says="I have no tool for this, and I will not work around that.", gives_up=reason),
    )


def keeps_restarting(service: str) -> Policy:
    """Restart a service that cannot be restarted, again and again."""

    def policy(view: View) -> Turn:
        if view.turns == 0:
            return calling(f"How is {service}?", "service_status", service=service)
        return calling(f"{service} must come back. I restart it.", "restart_service", service=service)

    return policy
