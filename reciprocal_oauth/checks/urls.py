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
        """Return whether a request for ``path`` is answered by the view of this route.

        The result is ``False`` if an earlier route in the URLconf matches the same path and leads
        to another view. If ``path`` is ``None``, this cannot be tested, and the result is ``True``.
        """
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
    """Check the URLconf of the site. All must be true:

    - It contains a token view, and each token view accepts reciprocal codes. A view that no request
      can reach, because an earlier route has the same path, does not count.
    - It contains the pages of this app, and the site has the middleware that the pages need.
    """
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
    """Warn if the include of ``reciprocal_oauth.oauth2_urls`` adds views of DOT that the site does
    not want.

    The check concerns only a site whose own URLconf lists some views of DOT one by one. It assumes
    that such a site does not want the views of DOT that are missing from its list.
    """
    from .. import oauth2_urls

    included, parts = (
        {id(pattern) for pattern in patterns}
        # The metadata routes are not checked, because every site may include them at its root,
        # even a site that lists the other views of DOT itself.
        for patterns in (oauth2_urls.urlpatterns, oauth2_urls.metadata_urlpatterns)
    )
    routes = [route for route in _routes() if id(route.pattern) not in parts]
    own = [route for route in routes if id(route.pattern) not in included]
    chosen = {base for route in own for base in _of_dot(route.view)}
    # The site lists views of DOT itself if one of its own routes leads to a view class of DOT or of
    # this app. A subclass that the site has written is no sign of such a list, because the subclass
    # may replace just one view of the include.
    has_list = any(_of_dot(route.view) and _is_stock(route.view) for route in own)
    opened = [
        route.shown
        for route in routes
        if id(route.pattern) in included and route.pattern.name
        # The routes that only this app has are in no list of DOT.
        if _of_dot(route.view) and not chosen.intersection(_of_dot(route.view))
        if route.is_reached
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
    """Return the view classes in DOT's URLconf of which ``view`` is a subclass. As in
    ``issubclass()``, each class counts as a subclass of itself."""
    from oauth2_provider import urls

    return {_class_of(pattern) for pattern in urls.urlpatterns}.intersection(view.__mro__)


def _is_stock(view: type) -> bool:
    return view.__module__.partition(".")[0] in ("oauth2_provider", __package__.partition(".")[0])


def _issues_tokens(view: type) -> bool:
    """Return whether the view class ``view`` is a token endpoint. At least one must be true: it is
    derived from DOT's ``TokenView``, or it has the methods of DOT's ``OAuthLibMixin`` and calls
    ``create_token_response()``."""
    from oauth2_provider.views import TokenView

    from ..provider.hooks import is_called

    is_made_of_mixin = hasattr(view, "get_server_class") and is_called(
        view.__mro__, "create_token_response"
    )
    return issubclass(view, TokenView) or is_made_of_mixin


def _takes_handovers(view: Any) -> bool:
    """Return whether the token view ``view`` accepts reciprocal codes from peers. At least one must
    be true: it is derived from the token view of this app, or the oauthlib server class that it
    uses is derived from ``ReciprocalServerMixin``."""
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
    """Return an example of a path that matches the route ``entry``, or ``None`` if the route or an
    include around it has parameters.

    :param path: an example of a path for the includes around the route, with which the result
        begins; ``None`` if one of these includes has parameters.
    """
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
