"""System checks for the databases and django-oauth-toolkit (DOT), which the site configures outside
of ``RECIPROCAL_OAUTH``."""

import re
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import router

from ..compat import oauth2_settings
from ..core.database import database
from .ids import Id


def require_toolkit() -> None:
    """Raise an error if DOT is not installed.

    This is not a system check: if the models of DOT are missing, Django fails before it runs system
    checks. ``ReciprocalOAuthConfig.import_models()`` calls this function.

    :raises ImproperlyConfigured: ``oauth2_provider`` is not in ``INSTALLED_APPS``.
    """
    if not apps.is_installed("oauth2_provider"):
        raise ImproperlyConfigured(
            "reciprocal_oauth extends django-oauth-toolkit: add 'oauth2_provider' to "
            "INSTALLED_APPS beside 'reciprocal_oauth'."
        )


@register(Tags.models)
def check_databases(**kwargs: Any) -> list[CheckMessage]:
    """Check that this app and DOT write to the same database, because one transaction changes links
    (rows of this app) and tokens (rows of DOT).

    The check asks only the database routers and sends no query. So it does not have the tag
    ``database``: Django 6.1 skips checks with this tag unless ``check --database`` is used.
    """
    from oauth2_provider.models import get_access_token_model, get_grant_model

    from ..models import Link

    ours = router.db_for_write(Link)
    theirs = {router.db_for_write(model) for model in (get_access_token_model(), get_grant_model())}
    if theirs == {ours}:
        return []
    return [
        Error(
            "The tables of reciprocal_oauth and of django-oauth-toolkit are written to different "
            f"databases: {ours} and {', '.join(sorted(theirs))}.",
            hint="Let DATABASE_ROUTERS send both apps to one database.",
            id=Id.DATABASES,
        )
    ]


@register(Tags.models)
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """Check that ``DATABASES`` makes SQLite take the write lock at the beginning of each
    transaction.

    Without this, two transactions can both read and then both try to write. SQLite does not wait in
    this case: one of the transactions fails immediately with "database is locked".
    """
    alias = database()
    configured = django_settings.DATABASES.get(alias, {})
    mode = configured.get("OPTIONS", {}).get("transaction_mode") or ""
    if "sqlite3" not in configured.get("ENGINE", "") or mode.upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        Warning(
            "Simultaneous requests to the token endpoint fail with “database is locked”.",
            hint=f'Set DATABASES["{alias}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
            id=Id.SQLITE_DEFERRED,
        )
    ]


@register("reciprocal_oauth")
def check_hooks(**kwargs: Any) -> list[CheckMessage]:
    """Check that the installed releases of DOT and oauthlib call the methods that this app
    overrides. If they do not call such a method, the override of this app never runs."""
    from ..provider import hooks

    return [
        Error(
            f"The installed django-oauth-toolkit or oauthlib does not call {name}. So the code of "
            "reciprocal_oauth in this method never runs.",
            hint="Install a release of django-oauth-toolkit that this release of reciprocal_oauth "
            "supports, or a later release of reciprocal_oauth.",
            id=Id.UNREACHED,
        )
        for name in hooks.uncalled_hooks()
    ]


@register(Tags.models)
def check_isolation(**kwargs: Any) -> list[CheckMessage]:
    """Warn if ``DATABASES`` sets an isolation level other than READ COMMITTED.

    The app needs this level: after a transaction has waited for a lock, it must see the changes
    that other transactions committed during the wait.
    """
    alias = database()
    configured = django_settings.DATABASES.get(alias, {})
    options = configured.get("OPTIONS", {})
    level = options.get("isolation_level")
    named = getattr(level, "name", level) or _isolation_of(str(options.get("options") or ""))
    name = str(named or "").upper().replace("_", " ").strip()
    is_asked = any(vendor in configured.get("ENGINE", "") for vendor in ("postg", "mysql"))
    if not is_asked or name in ("", "READ COMMITTED"):
        return []
    return [
        Warning(
            f"The isolation level of the database is {name}: simultaneous requests and deliveries "
            "fail, some even after they are repeated, and a peer may get more deliveries at the "
            "same time than DELIVERIES_PER_PEER allows.",
            hint=f'Remove the isolation level from DATABASES["{alias}"]["OPTIONS"]. The app is '
            "made for READ COMMITTED, the default.",
            id=Id.ISOLATION,
        )
    ]


def _isolation_of(options: str) -> str:
    """Return the isolation level in the connection options of PostgreSQL, or ``""`` if they set
    none. An example of the options is ``-c default_transaction_isolation=serializable``."""
    found = re.search(r"default_transaction_isolation\s*=\s*((?:\\ |[\w-])+)", options)
    return found[1].replace("\\", "") if found else ""


@register(Tags.security)
def check_introspection(**kwargs: Any) -> list[CheckMessage]:
    """Check that this site caches introspection responses for one minute at most (RFC 7662, section
    4). This concerns a site that asks another server whether an access token is valid.

    As long as a response is cached, the site accepts the token with its old scope, even if it was
    revoked or its scope was reduced.
    """
    seconds = oauth2_settings.RESOURCE_SERVER_TOKEN_CACHING_SECONDS
    if not oauth2_settings.RESOURCE_SERVER_INTROSPECTION_URL or seconds <= 60:
        return []
    return [
        Warning(
            f"This site caches the introspection response for a token for {seconds} seconds. "
            "During this time, it accepts a token that was revoked, or whose scope was reduced, at "
            "the authorization server.",
            hint='Set OAUTH2_PROVIDER["RESOURCE_SERVER_TOKEN_CACHING_SECONDS"] = 60 or less.',
            id=Id.CACHED_INTROSPECTION,
        )
    ]
