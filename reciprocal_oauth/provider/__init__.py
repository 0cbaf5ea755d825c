"""What this app adds to the authorization server of django-oauth-toolkit (DOT).

- ``validator``: a mixin for the site's validator class. Each method adds a rule to a method of DOT.
- ``code_redemption``: additional checks when a peer redeems a reciprocal code.
- ``token_rules``: the rules for tokens that are issued to a peer.
- ``token_use``: checks whether a peer may use an access token now, and limits the token's scope.
- ``token_revocation``: updates the link when its peer revokes or loses a token.
- ``server``: a mixin that adds the reciprocal grant to the site's oauthlib server class.
- ``composition``: adds both mixins to the classes that ``OAUTH2_PROVIDER`` names.
- ``hooks``: checks that the installed DOT and oauthlib still call the methods that this app
  overrides.
- ``bodies``: refuses uploaded files and long multipart bodies before Django stores them.
- ``failure_limit``: limits how many wrong client secrets and assertions one address can
  send.
- ``client_keys``: authenticates a peer that signs with a key.
- ``verified_secrets``: remembers client secrets that were right, because hashing them is slow.
- ``issuer``: adds the issuer identifier of this site to authorization responses.
- ``token_view``, ``authorization_view``, ``introspection_view``, ``metadata_view``,
  ``application_view``, ``registration_view``: views that extend those of DOT.
- ``routes``: DOT's URL patterns, in which these views replace the DOT views that they extend.
"""
