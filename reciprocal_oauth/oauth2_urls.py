"""DOT's own routes, with the views that this app extends put in place.

Same names, same ``oauth2_provider`` namespace; every DOT view is still there::

    path("o/", include("reciprocal_oauth.oauth2_urls"))
"""

from oauth2_provider import urls as dot_urls

from .provider.routes import with_ours

app_name = "oauth2_provider"

#: For the root of the site, where RFC 8414 and RFC 9728 look for these documents.
metadata_urlpatterns = with_ours(dot_urls.metadata_urlpatterns)
urlpatterns = with_ours(dot_urls.urlpatterns)
