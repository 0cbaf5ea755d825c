"""What this app adds to the authorization server of django-oauth-toolkit (DOT).

- ``validator``: a mixin for the site's validator class. Each method adds a rule to one of DOT's.
- ``code_redemption``: what the validator requires when a reciprocal code is redeemed.
- ``token_rules``: the rules for tokens that are issued to a peer.
- ``token_use``: whether a peer's access token may be used now, and with which scope.
- ``token_revocation``: what a link records when its peer revokes or loses a token.
- ``server``: a mixin that registers the reciprocal grant at the site's oauthlib server class.
- ``composition``: adds both mixins to the classes that ``OAUTH2_PROVIDER`` names.
- ``hooks``: checks that the installed DOT and oauthlib still call the methods that we override.
- ``bodies``: refuses uploaded files and long multipart bodies before Django stores them.
- ``failure_limit``: limits wrong client secrets.
- ``verified_secrets``: remembers right client secrets, because hashing them is slow.
- ``issuer``: adds the issuer to authorization responses.
- ``token_view``, ``authorization_view``, ``introspection_view``, ``metadata_view``,
  ``application_view``, ``registration_view``: views derived from those of DOT.
- ``routes``: DOT's URL patterns with our views in place of DOT's.
"""
