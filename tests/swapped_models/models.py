"""The site's own models in the place of DOT's.

They bear other names than DOT's, the application has another kind of primary key, and each has a
column of its own: whoever assumes DOT's tables, reverse names or keys fails here.
"""

import uuid

from django.db import models
from oauth2_provider import models as dot


class Registration(dot.AbstractApplication):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    department = models.CharField(max_length=100, blank=True)

    objects = dot.ApplicationManager()

    class Meta(dot.AbstractApplication.Meta):
        swappable = "OAUTH2_PROVIDER_APPLICATION_MODEL"

    def natural_key(self) -> tuple[str]:
        return (self.client_id,)


class Code(dot.AbstractGrant):
    note = models.CharField(max_length=100, blank=True)

    class Meta(dot.AbstractGrant.Meta):
        swappable = "OAUTH2_PROVIDER_GRANT_MODEL"


class Access(dot.AbstractAccessToken):
    note = models.CharField(max_length=100, blank=True)

    class Meta(dot.AbstractAccessToken.Meta):
        swappable = "OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL"


class Renewal(dot.AbstractRefreshToken):
    note = models.CharField(max_length=100, blank=True)

    class Meta(dot.AbstractRefreshToken.Meta):
        swappable = "OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL"


class Identity(dot.AbstractIDToken):
    note = models.CharField(max_length=100, blank=True)

    class Meta(dot.AbstractIDToken.Meta):
        swappable = "OAUTH2_PROVIDER_ID_TOKEN_MODEL"


class Device(dot.AbstractDeviceGrant):
    note = models.CharField(max_length=100, blank=True)

    class Meta(dot.AbstractDeviceGrant.Meta):
        swappable = "OAUTH2_PROVIDER_DEVICE_GRANT_MODEL"
