"""The routes that both sites have. The routes of only one site are in ``assistant.urls`` or in
``music.urls``."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from reciprocal_oauth.oauth2_urls import metadata_urlpatterns

from .api import WhoAmIView
from .views import CheckView

urlpatterns = [
    path("", include(f"example_project.{settings.SITE}.urls")),
    path("check/", CheckView.as_view(), name="check"),
    path("api/whoami/", WhoAmIView.as_view()),
    path("api/reciprocal/", include("reciprocal_oauth.api.urls")),
    path("accounts/login/", LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("connections/", include("reciprocal_oauth.urls")),
    # Clients look for the metadata at the root of the host (RFC 8414, section 3).
    *metadata_urlpatterns,
]
if "prometheus" in settings.RECIPROCAL_OAUTH.get("TELEMETRY", ()):
    from reciprocal_oauth.contrib.prometheus import metrics_view

    urlpatterns += [path("metrics/", metrics_view)]
if settings.HAS_API_DOCS:
    from .api_docs import ApiDocsView, SchemaView

    urlpatterns += [
        path("api/schema/", SchemaView.as_view(), name="schema"),
        path("api/docs/", ApiDocsView.as_view(), name="api-docs"),
    ]
