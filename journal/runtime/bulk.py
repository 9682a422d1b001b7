"""Many rows by one statement: what `bulk_create` does, without building an expression for every value."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.models.constants import OnConflict


def insert(
    model: type[models.Model], rows: Sequence[object], *, ignore_conflicts: bool = False, using: str = DEFAULT_DB_ALIAS
) -> None:
    """Insert new rows of a model whose columns need no conversion: text, numbers, booleans and keys.

    A row is any object with the model's attributes. Primary keys are the database's and are not set on the objects.
    """
    if not rows:
        return
    connection = connections[using]
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    names = [field.attname for field in fields]
    quote = connection.ops.quote_name
    on_conflict = OnConflict.IGNORE if ignore_conflicts else None
    sql = " ".join(
        (
            connection.ops.insert_statement(on_conflict=on_conflict),
            f"{quote(model._meta.db_table)} ({', '.join(quote(str(field.column)) for field in fields)})",
            f"VALUES ({', '.join(['%s'] * len(fields))})",
            connection.ops.on_conflict_suffix_sql(fields, on_conflict, [], []),
        )
    )
    with connection.cursor() as cursor:
        cursor.executemany(sql, [[getattr(row, name) for name in names] for row in rows])
