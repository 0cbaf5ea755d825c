"""The pages of the API, where drf-spectacular is installed."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView


class SchemaView(SpectacularAPIView):
    """The OpenAPI schema, for everybody."""

    authentication_classes = []
    permission_classes = []


class ApiDocsView(SpectacularSwaggerSplitView):
    """Swagger UI. Its style sheet contains pictures, and it sets the width of a field by an
    attribute. Only this page allows both."""

    authentication_classes = []
    permission_classes = []

    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().dispatch(*args, **kwargs)
        response["Content-Security-Policy"] = "img-src 'self' data:; style-src-attr 'unsafe-inline'"
        return response
