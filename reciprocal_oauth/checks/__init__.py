"""System checks, which find mistakes in the configuration before the site serves requests.

Only the functions with the tag ``database`` use the database. The other checks do not find mistakes
in the peers, which are rows in the database. A peer is validated before the admin or a command
saves it.
"""

from .ids import Id
from .issuer import check_fixed_issuer, check_issuer_url
from .pairing import check_pairing, check_registration
from .peer_scopes import check_peer_scopes
from .peers import check_grace, check_issuer
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
from .site_metadata import check_site_metadata
from .urls import check_opened, check_urls
from .workers import check_workers

__all__ = [
    "Id",
    "check_base_url",
    "check_databases",
    "check_deployment",
    "check_fixed_issuer",
    "check_grace",
    "check_hooks",
    "check_introspection",
    "check_isolation",
    "check_issuer",
    "check_issuer_url",
    "check_opened",
    "check_pairing",
    "check_peer_scopes",
    "check_registration",
    "check_settings",
    "check_site_metadata",
    "check_sqlite",
    "check_sweep",
    "check_urls",
    "check_workers",
    "require_toolkit",
]
