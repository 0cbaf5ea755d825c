"""System checks for the site around the app: databases and django-oauth-toolkit (DOT)."""

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
    """Make sure that DOT is installed. The app's ``import_models()`` calls this, because without
    the models of DOT Django fails before it runs the checks.

    :raises ImproperlyConfigured: ``oauth2_provider`` is not in ``INSTALLED_APPS``.
    """
    if not apps.is_installed("oauth2_provider"):
        raise ImproperlyConfigured(
            "reciprocal_oauth extends django-oauth-toolkit: add 'oauth2_provider' to "
            "INSTALLED_APPS beside 'reciprocal_oauth'."
        )


@register(Tags.models)
def check_databases(**kwargs: Any) -> list[CheckMessage]:
    """Check that a link and its tokens are in one database, because one transaction changes both.

    This only asks the database routers. It does not have the tag ``database``, because Django 6.1
    skips checks with that tag unless ``check --database`` is used.
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
    """Check, in the settings only, that SQLite transactions begin as writers. Otherwise, if two
    transactions read before they write, SQLite does not wait, and one fails at once."""
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
    """Check that the installed DOT and oauthlib call the methods that this app overrides."""
    from ..provider import hooks

    return [
        Error(
            f"The installed django-oauth-toolkit or oauthlib does not call {name}, so what "
            "reciprocal_oauth does there is missing.",
            hint="Install a release of django-oauth-toolkit that this release of reciprocal_oauth "
            "supports, or a later release of reciprocal_oauth.",
            id=Id.UNREACHED,
        )
        for name in hooks.uncalled_hooks()
    ]


@register(Tags.models)
def check_isolation(**kwargs: Any) -> list[CheckMessage]:
    """Check, in the settings only, that the isolation level is READ COMMITTED. Only then does a
    transaction that has waited for a lock see what others have committed meanwhile."""
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
    """Return the isolation level in the server options, such as
    ``-c default_transaction_isolation=serializable``."""
    found = re.search(r"default_transaction_isolation\s*=\s*((?:\\ |[\w-])+)", options)
    return found[1].replace("\\", "") if found else ""


@register(Tags.security)
def check_introspection(**kwargs: Any) -> list[CheckMessage]:
    """Check how long this site caches introspection responses (RFC 7662, section 4). Until the
    cache expires, it accepts tokens that were revoked or whose scope was reduced."""
    seconds = oauth2_settings.RESOURCE_SERVER_TOKEN_CACHING_SECONDS
    if not oauth2_settings.RESOURCE_SERVER_INTROSPECTION_URL or seconds <= 60:
        return []
    return [
        Warning(
            f"This site caches what an authorization server says about a token for {seconds} "
            "seconds: for as long, it accepts tokens that were revoked or reduced there.",
            hint='Set OAUTH2_PROVIDER["RESOURCE_SERVER_TOKEN_CACHING_SECONDS"] = 60 or less.',
            id=Id.CACHED_INTROSPECTION,
        )
    ]
