"""DOT's own routes, with the views that this app extends put in place.

Same names, same ``oauth2_provider`` namespace; every DOT view is still there::

    path("o/", include("reciprocal_oauth.oauth2_urls"))

That opens whatever ``oauth2_provider.urls`` opens. A site that mounts some of it, or views of its
own, takes the parts, which bear DOT's names, or has :func:`with_ours` look through its own list.
"""

from oauth2_provider import urls as dot_urls

from .provider.routes import with_ours

__all__ = [
    "app_name",
    "base_urlpatterns",
    "core_urlpatterns",
    "dcr_urlpatterns",
    "device_urlpatterns",
    "management_urlpatterns",
    "metadata_urlpatterns",
    "oidc_urlpatterns",
    "urlpatterns",
    "with_ours",
]

app_name = "oauth2_provider"

_DEVICE = {"device-authorization", "device", "device-confirm", "device-grant-status"}

#: For the root of the site, where RFC 8414 and RFC 9728 look for these documents.
metadata_urlpatterns = with_ours(dot_urls.metadata_urlpatterns)
#: What clients and resource servers need: authorization, tokens, revocation, introspection.
core_urlpatterns = with_ours(p for p in dot_urls.base_urlpatterns if p.name not in _DEVICE)
#: The device grant (RFC 8628).
device_urlpatterns = with_ours(p for p in dot_urls.base_urlpatterns if p.name in _DEVICE)
#: Both, as DOT has them.
base_urlpatterns = core_urlpatterns + device_urlpatterns
#: Pages on which people register applications, and take tokens back.
management_urlpatterns = with_ours(dot_urls.management_urlpatterns)
#: OpenID Connect.
oidc_urlpatterns = with_ours(dot_urls.oidc_urlpatterns)
#: Dynamic client registration (RFC 7591, RFC 7592).
dcr_urlpatterns = with_ours(dot_urls.dcr_urlpatterns)

#: All of DOT's. Objects of their own: a check tells them from the parts, which a site has chosen.
urlpatterns = with_ours(dot_urls.urlpatterns)
