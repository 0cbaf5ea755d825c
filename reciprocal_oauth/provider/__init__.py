"""What this app adds to the authorization server that DOT runs.

- ``validator``: a mixin over the site's own validator class: a short list of hooks, each calling
  the party that it concerns
- ``server``: the site's own server class with the reciprocal grant registered
- ``composition``: puts both on whatever classes ``OAUTH2_PROVIDER`` names
- ``bodies``: no file is taken where forms are
- ``client_secrets``: what checking a client's secret may cost
- ``peer_tokens``: the rules for tokens that are issued to a peer
- ``hooks``: whether DOT still calls what stands in its place
- ``routes``: DOT's routes, with our views in place
- ``token_view``, ``authorization_view``, ``introspection_view``, ``metadata_view``,
  ``application_view``, ``registration_view``: DOT's views with our part
"""
