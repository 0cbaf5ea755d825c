"""The draft, for a peer that takes the response to a hand-over as "the code is redeemed"."""

from reciprocal_oauth.dialects.ietf import IETFDialect

#: For the setting ``DIALECTS``.
DIALECTS = {"ietf-first": f"{__name__}.IETFFirstDialect"}


class IETFFirstDialect(IETFDialect):
    redeems_first = True
