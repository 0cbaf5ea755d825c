"""The pages with the documentation of the API. They exist only if drf-spectacular is installed."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema. Everybody can read it without signing in."""

    authentication_classes = []
    permission_classes = []


class ApiDocsView(SpectacularSwaggerSplitView):
    """The page with Swagger UI.

    Swagger UI needs two things that the content security policy of the other pages forbids:
    pictures in ``data:`` URLs, and ``style`` attributes. Only the policy of this page allows them.
    """

    authentication_classes = []
    permission_classes = []

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().dispatch(*args, **kwargs)
        response["Content-Security-Policy"] = "img-src 'self' data:; style-src-attr 'unsafe-inline'"
        return response
