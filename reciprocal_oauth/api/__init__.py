"""The JSON API. Front ends and apps use it to do what users do on the pages of this package.

The modules ``views`` and ``start_view`` have one class for each route. The module ``openapi`` is
imported only if drf-spectacular is installed.
"""
