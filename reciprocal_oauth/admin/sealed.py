"""Keeps a secret in a hidden field of a page, encrypted for the user who entered it. So it is in no
URL, session or history, and need not be typed again after an error."""

import json
from collections.abc import Mapping
from typing import Any

from django.core import signing
from django.views.decorators.debug import sensitive_variables

from ..exceptions import DecryptionError
from ..secret import PREFIX, decrypt, encrypt

#: How long, in seconds, a sealed value can be used.
SEALED_SECONDS = 3600


@sensitive_variables()
def seal(content: Mapping[str, str], purpose: str, user: Any) -> str:
    """Return ``content``, encrypted for ``user`` and for one purpose.

    :param purpose: which page it is for, such as the name of its module.
    """
    ciphertext = encrypt(json.dumps(dict(content)), _place(purpose, user)).removeprefix(PREFIX)
    return signing.TimestampSigner(salt=purpose).sign(ciphertext)


@sensitive_variables()
def opened(sealed: str, purpose: str, user: Any) -> dict[str, str]:
    """Return the content of a sealed value; an empty dictionary if it is too old, or is not for
    this purpose or this user."""
    signer = signing.TimestampSigner(salt=purpose)
    try:
        ciphertext = signer.unsign(sealed, max_age=SEALED_SECONDS)
        content: dict[str, str] = json.loads(decrypt(PREFIX + ciphertext, _place(purpose, user)))
    except (signing.BadSignature, DecryptionError):
        return {}
    return content


def _place(purpose: str, user: Any) -> tuple[str, str]:
    return (purpose, str(user.pk))
