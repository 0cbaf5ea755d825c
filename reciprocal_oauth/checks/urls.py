"""System checks for the site's URLconf, and for the middleware that the pages need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.exceptions import Resolver404
from django.utils.module_loading import import_string
from django.utils.regex_helper import normalize

from .guards import needs_urls
from .ids import Id

#: The middleware classes that the pages of this app need. A subclass of such a class is accepted
#: too.
_PAGE_MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)


@dataclass(frozen=True)
class _Route:
    """A route in the site's URLconf that leads to a class-based view.

    :ivar shown: the route as a text for messages.
    :ivar path: an example of a path that matches the route, or ``None`` if the route has
        parameters.
    """

    shown: str
    path: str | None
    view: type
    pattern: URLPattern

    @property
    def is_reached(self) -> bool:
        """Return whether requests for ``path`` reach this route, because no earlier route in the
        URLconf matches the same path. Return ``True`` if ``path`` is unknown."""
        if self.path is None:
            return True
        try:
            match = get_resolver().resolve(self.path)
        except Resolver404:
            return False
        return _class_of(match.func) is self.view


@register(Tags.urls)
@needs_urls
def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """Check that the URLconf contains a token view that accepts reciprocal codes, and the pages of
    this app. If it contains the pages, check also that the site has the middleware for them."""
    from ..pages.connect import CallbackView

    routes = list(_routes())
    endpoints = [route for route in routes if _issues_tokens(route.view)]
    problems: list[CheckMessage] = [
        Error(
            f"The URL “{route.shown}” leads to a token view without the reciprocal grant: the one "
            "of django-oauth-toolkit, or one derived from it.",
            hint='Write path("o/", include("reciprocal_oauth.oauth2_urls")) instead of the '
            "include of oauth2_provider.urls, or include only the lists of that module that the "
            "site needs. Derive a view of your own from "
            "reciprocal_oauth.provider.token_view.TokenView.",
            id=Id.STOCK_VIEW,
        )
        for route in endpoints
        if not _takes_handovers(route.view) and route.is_reached
    ]
    if not endpoints:
        problems.append(
            Warning(
                "The URLconf has no token view: peers can neither redeem nor hand over codes.",
                hint='Add path("o/", include("reciprocal_oauth.oauth2_urls")) to the URLconf.',
                id=Id.NO_ENDPOINT,
            )
        )
    if any(issubclass(route.view, CallbackView) for route in routes):
        problems += _check_middleware()
    else:
        problems.append(
            Warning(
                "The URLconf does not include the pages: users cannot connect, and cannot come "
                "back from a peer.",
                hint='Add path("connections/", include("reciprocal_oauth.urls")) to the URLconf.',
                id=Id.NO_PAGES,
            )
        )
    return problems


@register(Tags.urls)
@needs_urls
def check_opened(**kwargs: Any) -> list[CheckMessage]:
    """Check that including ``reciprocal_oauth.oauth2_urls`` adds no DOT views that the site has
    left out on purpose.

    If the URLconf of the site lists some DOT views one by one, the check assumes that the site has
    left out the other DOT views on purpose.
    """
    from .. import oauth2_urls

    included, parts = (
        {id(pattern) for pattern in patterns}
        # Ignore the metadata routes: a site includes them at its root, in addition to the rest.
        for patterns in (oauth2_urls.urlpatterns, oauth2_urls.metadata_urlpatterns)
    )
    routes = [route for route in _routes() if id(route.pattern) not in parts]
    own = [route for route in routes if id(route.pattern) not in included]
    chosen = {base for route in own for base in _of_dot(route.view)}
    # The site lists DOT views by itself if it uses at least one of them without a subclass. A site
    # that only replaces single views of the include uses its own subclasses for them.
    has_list = any(_of_dot(route.view) and _is_stock(route.view) for route in own)
    opened = [
        route.shown
        for route in routes
        if id(route.pattern) in included and route.pattern.name
        if not chosen.intersection(_of_dot(route.view)) and route.is_reached
    ]
    if not has_list or not opened:
        return []
    return [
        Warning(
            "The site lists the views of django-oauth-toolkit that it needs, but the include of "
            f"reciprocal_oauth.oauth2_urls adds others: {', '.join(opened)}.",
            hint="Include only the lists of that module that the site needs, such as "
            "core_urlpatterns, or pass the site's own list to its function with_ours().",
            id=Id.OPENED,
        )
    ]


def _of_dot(view: type) -> set[type | None]:
    """Return the views in DOT's URLconf that are ``view`` itself or base classes of ``view``."""
    from oauth2_provider import urls

    return {_class_of(pattern) for pattern in urls.urlpatterns}.intersection(view.__mro__)


def _is_stock(view: type) -> bool:
    return view.__module__.partition(".")[0] in ("oauth2_provider", __package__.partition(".")[0])


def _issues_tokens(view: type) -> bool:
    """Return whether ``view`` is a token endpoint. It is one if it is a subclass of DOT's token
    view, or if it uses the mixin of DOT and calls its ``create_token_response()``."""
    from oauth2_provider.views import TokenView

    from ..provider.hooks import is_called

    is_made_of_mixin = hasattr(view, "get_server_class") and is_called(
        view.__mro__, "create_token_response"
    )
    return issubclass(view, TokenView) or is_made_of_mixin


def _takes_handovers(view: Any) -> bool:
    """Return whether the token view ``view`` accepts codes that peers hand over. It does if it is a
    subclass of this app's token view, or if its server class supports the reciprocal grant."""
    from ..provider.server import ReciprocalServerMixin
    from ..provider.token_view import TokenView

    return issubclass(view, TokenView) or issubclass(view.get_server_class(), ReciprocalServerMixin)


def _routes() -> Iterator[_Route]:
    return _below(get_resolver().url_patterns, "", "/")


def _below(patterns: Iterable[Any], shown: str, path: str | None) -> Iterator[_Route]:
    for entry in patterns:
        here, sample = shown + str(entry.pattern), _sample(entry, path)
        if isinstance(entry, URLResolver):
            yield from _below(entry.url_patterns, here, sample)
        elif isinstance(entry, URLPattern) and (view := _class_of(entry)):
            yield _Route(here, sample, view, entry)


def _sample(entry: Any, path: str | None) -> str | None:
    """Return ``path`` followed by a text that matches the route ``entry``. Return ``None`` if
    ``path`` is ``None`` or the route has parameters."""
    if path is None:
        return None
    text, parameters = normalize(entry.pattern.regex.pattern)[0]
    return None if parameters else path + text.replace("%%", "%")


def _class_of(view: Any) -> type | None:
    found = getattr(getattr(view, "callback", view), "view_class", None)
    return found if isinstance(found, type) else None


def _check_middleware() -> Iterator[CheckMessage]:
    installed = [found for path in django_settings.MIDDLEWARE if (found := _imported(path))]
    for path in _PAGE_MIDDLEWARE:
        wanted = import_string(path)
        if not any(isinstance(each, type) and issubclass(each, wanted) for each in installed):
            yield Error(
                f"The pages of reciprocal_oauth need {path}, because only the same user in the "
                "same session may come back from a peer.",
                hint=f'Add "{path}" to MIDDLEWARE.',
                id=Id.MIDDLEWARE,
            )


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except ImportError:
        return None  # Django raises this error itself when it loads the middleware.
