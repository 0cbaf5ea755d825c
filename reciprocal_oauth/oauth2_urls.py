"""The routes of django-oauth-toolkit (DOT), with some views of DOT replaced by views of this app.

The routes have the same names and the same namespace (``oauth2_provider``) as in DOT. A site
includes them with this line::

    path("o/", include("reciprocal_oauth.oauth2_urls"))

This line adds all routes of ``oauth2_provider.urls``, and the routes that only this app has. A site
that needs only some of the routes includes one or more of the lists below instead. A site that has
its own list of routes to DOT views passes this list to :func:`with_ours`.
"""

from oauth2_provider import urls as dot_urls

from .provider.routes import reciprocal_routes, with_ours

__all__ = [
    "app_name",
    "base_urlpatterns",
    "core_urlpatterns",
    "dcr_urlpatterns",
    "device_urlpatterns",
    "management_urlpatterns",
    "metadata_urlpatterns",
    "oidc_urlpatterns",
    "reciprocal_urlpatterns",
    "urlpatterns",
    "with_ours",
]

app_name = "oauth2_provider"

_DEVICE = {"device-authorization", "device", "device-confirm", "device-grant-status"}

#: The routes at which this site publishes its OAuth metadata (RFC 8414, section 3; RFC 9728,
#: section 3). They must be included at the root of the site, without a prefix.
metadata_urlpatterns = with_ours(dot_urls.metadata_urlpatterns)
#: The endpoints for clients and resource servers: authorization and tokens (RFC 6749, section 3),
#: revocation (RFC 7009, section 2) and introspection (RFC 7662, section 2).
core_urlpatterns = with_ours(p for p in dot_urls.base_urlpatterns if p.name not in _DEVICE)
#: The endpoints and pages of the device grant (RFC 8628, section 3).
device_urlpatterns = with_ours(p for p in dot_urls.base_urlpatterns if p.name in _DEVICE)
#: The routes of ``core_urlpatterns`` and ``device_urlpatterns`` together. DOT has a list with the
#: same name and routes.
base_urlpatterns = core_urlpatterns + device_urlpatterns
#: The pages on which users register applications and revoke tokens.
management_urlpatterns = with_ours(dot_urls.management_urlpatterns)
#: The endpoints of OpenID Connect, such as the configuration (OpenID Connect Discovery 1.0, section
#: 4) and UserInfo (OpenID Connect Core 1.0, section 5.3).
oidc_urlpatterns = with_ours(dot_urls.oidc_urlpatterns)
#: The endpoints of dynamic client registration (RFC 7591, section 3; RFC 7592, section 2).
dcr_urlpatterns = with_ours(dot_urls.dcr_urlpatterns)
#: The endpoints that only this app has: the public keys of this site (RFC 7517, section 5).
reciprocal_urlpatterns = reciprocal_routes()

#: All routes of DOT and of this app. This list has its own route objects, which are not in the
#: lists above. So the system check ``check_opened`` can recognize whether the site includes this
#: whole module or only some of the lists above.
urlpatterns = with_ours(dot_urls.urlpatterns) + reciprocal_routes()
