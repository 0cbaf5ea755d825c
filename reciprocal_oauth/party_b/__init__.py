"""Party B: the site that the person visits, and which receives and redeems the reciprocal code.

The steps of draft-ietf-oauth-reciprocal-04, figure 1, in their order:

- (A) to (D): DOT serves them; ``scope_request`` adds ``reciprocal`` (draft, "Reciprocal Scope
  Request") and ``opening`` opens the link for the tokens that are issued
- (E) ``grant_type``: the reciprocal grant at the token endpoint; ``receive`` decides and keeps the
  code (draft, "Reciprocal Authorization Code")
- (F), (G) ``redeem``: trades the code at party A's token endpoint
"""
