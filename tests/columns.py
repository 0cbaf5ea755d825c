"""What stands in a row, to be compared with what stands there later."""

from typing import Any

from django.db.models import Model


def columns_of(row: Model) -> dict[str, Any]:
    """The values of a row's columns, secrets as they can be read there: ``values()`` gives secrets
    that nobody can read."""
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
