"""System checks for sites that use the REST API of this app."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.urls import URLResolver, get_resolver

from ..compat import SettingsScopes, oauth2_settings
from ..conf import settings
from ..party_a import return_urls
from .guards import is_sound, needs_settings, needs_urls
from .ids import Id

APP_NAME = "reciprocal_oauth_api"
_PAGES = "reciprocal_oauth"


@register("reciprocal_oauth")
@needs_settings("API_RETURN_TO")
def check_return_to(**kwargs: Any) -> list[CheckMessage]:
    """Check that each entry of the setting ``API_RETURN_TO`` is an origin or a URL (E013)."""
    return [
        Error(
            f'RECIPROCAL_OAUTH["API_RETURN_TO"] has {entry!r}, which is neither an origin nor a '
            "URL to return to, so no user is sent there.",
            hint='Write an origin like "https://app.example", which allows all URLs below it, or a '
            'URL like "https://app.example/connected", or the URL of an app with a private-use '
            'scheme like "com.example.app:/connected". Use lower case up to the path, no user name '
            "and no fragment. http is allowed for this machine only. A private-use scheme contains "
            "a dot.",
            id=Id.API_RETURN_TO,
        )
        for entry in settings.API_RETURN_TO
        if not return_urls.is_valid_entry(entry)
    ]


@register(Tags.urls)
@needs_urls
def check_scopes(**kwargs: Any) -> list[CheckMessage]:
    """Check that a site that includes the API has the scopes that the API requires (E012).

    Check only a site whose scopes are listed in the settings. A site with its own scopes backend is
    not checked, because the backend may need the database.
    """
    are_in_settings = issubclass(oauth2_settings.SCOPES_BACKEND_CLASS, SettingsScopes)
    return list(_missing_scopes()) if are_in_settings and _is_mounted(APP_NAME) else []


@register(Tags.urls)
@needs_urls
def check_pages(**kwargs: Any) -> list[CheckMessage]:
    """Check that a site that includes the API in its URLconf also includes the pages (E014). The
    API needs the pages, because a peer sends users back to one of them."""
    if not _is_mounted(APP_NAME) or _is_mounted(_PAGES):
        return []
    return [
        Error(
            "The API is included in the URLconf, but not the pages: users cannot come back from a "
            "peer.",
            hint='Add path("connections/", include("reciprocal_oauth.urls")) to the URLconf.',
            id=Id.API_WITHOUT_PAGES,
        )
    ]


def _missing_scopes() -> Iterator[CheckMessage]:
    for name in ("API_READ_SCOPE", "API_WRITE_SCOPE"):
        scope = getattr(settings, name) if is_sound(name) else ""
        if scope and scope not in oauth2_settings.SCOPES:
            yield Error(
                f'RECIPROCAL_OAUTH["{name}"] is {scope!r}, which is not a scope of this site: no '
                "access token can be used with the API.",
                hint=f'Add "{scope}" with a description to OAUTH2_PROVIDER["SCOPES"] (and leave it '
                'out of "DEFAULT_SCOPES"), or set '
                f'RECIPROCAL_OAUTH["{name}"] = "" to accept no access tokens.',
                id=Id.API_SCOPES,
            )


def _is_mounted(app_name: str) -> bool:
    return _is_among(app_name, get_resolver().url_patterns)


def _is_among(app_name: str, patterns: Iterable[Any]) -> bool:
    return any(
        isinstance(entry, URLResolver)
        and (entry.app_name == app_name or _is_among(app_name, entry.url_patterns))
        for entry in patterns
    )
