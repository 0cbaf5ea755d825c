"""The public keys of this site, as peers read them (RFC 7517, section 5)."""

import json
from typing import Any

from django.db.models import Q
from django.utils import timezone

from ..models import SiteKey

#: How many seconds a peer may keep a copy of the key set. A key is published longer than this
#: before its first use: see :data:`~reciprocal_oauth.keys.site_keys.PUBLISHED_BEFORE_USE`.
MAX_AGE_SECONDS = 3600


def public_set() -> dict[str, Any]:
    """Return the JSON Web Key Set of this site, the newest key first. It contains no private parts.

    A retired key is in the set until its time is over. Reading the set makes no key and changes no
    key.
    """
    is_published = Q(slot__isnull=False) | Q(retires_at__gt=timezone.now())
    rows = SiteKey.objects.filter(is_published).values_list("public_jwk", flat=True)
    return {"keys": [json.loads(public) for public in rows]}


def thumbprints() -> list[str]:
    """Return the thumbprints (RFC 7638) of the keys that this site signs with or will sign with."""
    return list(SiteKey.objects.filter(slot__isnull=False).values_list("kid", flat=True))
