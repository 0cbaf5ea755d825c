"""The routes of django-oauth-toolkit (DOT), with some of its views replaced by those of this app.

The routes have the same names, in the same namespace ``oauth2_provider``::

    path("o/", include("reciprocal_oauth.oauth2_urls"))

This includes every route of ``oauth2_provider.urls``. A site that wants fewer routes includes the
lists below, which are named as in DOT. A site with views of its own passes its list of routes to
:func:`with_ours`.
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

#: Metadata, for the root of the site (RFC 8414, section 3; RFC 9728, section 3).
metadata_urlpatterns = with_ours(dot_urls.metadata_urlpatterns)
#: For clients and resource servers: authorization and tokens (RFC 6749, section 3), revocation
#: (RFC 7009, section 2), introspection (RFC 7662, section 2).
core_urlpatterns = with_ours(p for p in dot_urls.base_urlpatterns if p.name not in _DEVICE)
#: The device grant (RFC 8628, section 3).
device_urlpatterns = with_ours(p for p in dot_urls.base_urlpatterns if p.name in _DEVICE)
#: Both of these, as in DOT.
base_urlpatterns = core_urlpatterns + device_urlpatterns
#: Pages on which users register applications and revoke tokens.
management_urlpatterns = with_ours(dot_urls.management_urlpatterns)
#: OpenID Connect.
oidc_urlpatterns = with_ours(dot_urls.oidc_urlpatterns)
#: Dynamic client registration (RFC 7591, section 3; RFC 7592, section 2).
dcr_urlpatterns = with_ours(dot_urls.dcr_urlpatterns)

#: All routes of DOT. These are new objects, so that a check can distinguish them from the lists
#: above, which a site chooses one by one.
urlpatterns = with_ours(dot_urls.urlpatterns)
