"""Party B: the site that the person visits, and that receives and redeems the reciprocal code.

The steps in the order of figure 1 (draft-ietf-oauth-reciprocal-04, section 2):

- (A) to (D): DOT handles the requests. ``scope_request`` adds ``reciprocal`` to the responses
  (draft-ietf-oauth-reciprocal-04, section 2.1), and ``link_opening`` opens a link for the tokens.
- (E) ``grant_type`` is the reciprocal grant at the token endpoint, and ``receive`` checks and
  stores the code (draft-ietf-oauth-reciprocal-04, section 2.2.2).
- (F), (G) ``redeem`` exchanges the code for tokens (RFC 6749, sections 4.1.3 and 4.1.4).
"""
