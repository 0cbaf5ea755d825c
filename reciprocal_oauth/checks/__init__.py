"""System checks: mistakes that can be found before the first request.

No check opens a database connection. So peers are not checked here, but when they are saved.
"""

from .ids import Id
from .settings import check_deployment, check_settings, check_sweep
from .site import (
    check_databases,
    check_hooks,
    check_introspection,
    check_isolation,
    check_sqlite,
    require_toolkit,
)
from .site_address import check_base_url
from .urls import check_opened, check_urls

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
