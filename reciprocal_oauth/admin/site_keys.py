"""The admin of the keys with which this site signs. Nobody can change them here: the command
``reciprocal_keys`` replaces them."""

from typing import Any, ClassVar

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from ..models import SiteKey
from .read_only import ReadOnlyAdmin


@admin.register(SiteKey)
class SiteKeyAdmin(ReadOnlyAdmin):
    """Shows the keys of this site, without their private parts."""

    list_display = ("kid", "alg", "state", "is_published", "created_at", "activated_at")
    list_filter = ("alg", "state")
    search_fields: ClassVar[Any] = ()  # There are few keys.
    fields = (
        "kid",
        "alg",
        "state",
        "is_published",
        "created_at",
        "activated_at",
        "retires_at",
        "public_jwk",
    )

    @admin.display(description=_("in the public set"), boolean=True)
    def is_published(self, key: SiteKey) -> bool:
        """Return whether the key is in the public set now."""
        return key.is_published
