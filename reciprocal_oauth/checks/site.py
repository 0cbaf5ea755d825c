"""How the app is put into the site: its databases, and what stands beside it."""

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
    """Say what to do where the models of DOT cannot be loaded. For the app's ``import_models()``:
    without them it does not come to the checks.

    :raises ImproperlyConfigured: ``oauth2_provider`` is not installed in the project.
    """
    if not apps.is_installed("oauth2_provider"):
        raise ImproperlyConfigured(
            "reciprocal_oauth extends django-oauth-toolkit: add 'oauth2_provider' to "
            "INSTALLED_APPS beside 'reciprocal_oauth'."
        )


@register(Tags.models)
def check_databases(**kwargs: Any) -> list[CheckMessage]:
    """One transaction has to span a link and the tokens that belong to it. Only the routers are
    asked; the tag ``database`` would keep this out of a plain ``check`` on Django 6.1."""
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
    """Transactions that read before they write fail on SQLite as soon as two meet, without waiting,
    unless they begin as writers. Looks at the settings only."""
    alias = database()
    configured = django_settings.DATABASES.get(alias, {})
    mode = configured.get("OPTIONS", {}).get("transaction_mode") or ""
    if "sqlite3" not in configured.get("ENGINE", "") or mode.upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        Warning(
            "Requests that meet at the token endpoint fail with “database is locked”.",
            hint=f'Set DATABASES["{alias}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
            id=Id.SQLITE_DEFERRED,
        )
    ]


@register("reciprocal_oauth")
def check_hooks(**kwargs: Any) -> list[CheckMessage]:
    """Whether the installed DOT and oauthlib still call what this app puts in place of theirs."""
    from ..provider import hooks

    return [
        Error(
            f"The installed django-oauth-toolkit or oauthlib does not call {name}: what "
            "reciprocal_oauth does there does not happen.",
            hint="Install a release of django-oauth-toolkit that this release of reciprocal_oauth "
            "knows, or a later release of reciprocal_oauth.",
            id=Id.UNREACHED,
        )
        for name in hooks.uncalled_hooks()
    ]


@register(Tags.models)
def check_isolation(**kwargs: Any) -> list[CheckMessage]:
    """Whoever waits for a lock has to see afterwards what was done meanwhile: only READ COMMITTED
    gives that. Looks at the settings only."""
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
            f"The database works at {name}: requests and deliveries that meet fail there, some "
            "even when they are tried again, and a peer may be called more often at once than "
            "DELIVERIES_PER_PEER says.",
            hint=f'Remove the isolation level from DATABASES["{alias}"]["OPTIONS"]: at READ '
            "COMMITTED, the default, this app takes the locks that it needs.",
            id=Id.ISOLATION,
        )
    ]


def _isolation_of(options: str) -> str:
    """The level in the options for the server, such as
    ``-c default_transaction_isolation=serializable``."""
    found = re.search(r"default_transaction_isolation\s*=\s*((?:\\ |[\w-])+)", options)
    return found[1].replace("\\", "") if found else ""


@register(Tags.security)
def check_introspection(**kwargs: Any) -> list[CheckMessage]:
    """A resource server that keeps what it was told about a token does not feel a narrowing."""
    seconds = oauth2_settings.RESOURCE_SERVER_TOKEN_CACHING_SECONDS
    if not oauth2_settings.RESOURCE_SERVER_INTROSPECTION_URL or seconds <= 60:
        return []
    return [
        Warning(
            f"This site keeps what an authorization server says about a token for {seconds} "
            "seconds: what is narrowed or revoked there goes on working here for as long.",
            hint='Set OAUTH2_PROVIDER["RESOURCE_SERVER_TOKEN_CACHING_SECONDS"] = 60 or less.',
            id=Id.CACHED_INTROSPECTION,
        )
    ]
