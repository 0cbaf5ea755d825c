"""System checks: what can be seen to be wrong before the first request.

No check opens a database connection, so peers are not checked here but when they are saved.
"""

from ..check_ids import Id
from .of_address import check_base_url
from .of_settings import check_deployment, check_settings, check_sweep
from .of_site import (
    check_databases,
    check_hooks,
    check_introspection,
    check_isolation,
    check_sqlite,
    require_toolkit,
)
from .of_urls import check_opened, check_urls

__all__ = [
    "Id",
    "check_base_url",
    "check_databases",
    "check_deployment",
    "check_hooks",
    "check_introspection",
    "check_isolation",
    "check_opened",
    "check_settings",
    "check_sqlite",
    "check_sweep",
    "check_urls",
    "require_toolkit",
]
