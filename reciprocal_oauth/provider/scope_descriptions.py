"""Says in the metadata of this site what its scopes mean, in the languages of this site.

A site that reads this text can show it to its users, in place of the name of a scope.
"""

import json
from collections.abc import Iterator

from django.conf import global_settings
from django.conf import settings as django_settings
from django.utils import translation

from ..core import scopes

#: How many scopes, how many languages, and how many characters of each text are published. Another
#: site that runs this package reads no more.
_MAX_SCOPES, _MAX_LANGUAGES, _MAX_LENGTH = 100, 10, 200
#: The largest size of all texts together, in bytes of JSON. A site with this package reads at most
#: 64 KiB of metadata (``HTTP_MAX_RESPONSE_BYTES``), and cannot use metadata that is longer.
_MAX_BYTES = 24 * 1024


def descriptions() -> dict[str, str]:
    """Return what the scopes of this site mean.

    The key is the name of the scope. Its text is in the default language of this site
    (``LANGUAGE_CODE``). If the text in another language differs, its key has the tag of this
    language after ``#``, as RFC 7591, section 2.2, has it for names: ``playback#de``.
    """
    default = django_settings.LANGUAGE_CODE
    texts = _texts(default)
    found, size = {}, 0
    for name, text in _in_order(texts, default):
        size += len(json.dumps({name: text}))
        if size > _MAX_BYTES:
            break
        found[name] = text
    return found


def _in_order(texts: dict[str, str], default: str) -> Iterator[tuple[str, str]]:
    """Yield all texts in the default language, and then those in the other languages. So if there
    are too many, texts in other languages are left out."""
    yield from texts.items()
    for language in _languages(default):
        for scope, text in _texts(language).items():
            if scope in texts and text != texts[scope]:
                yield f"{scope}#{language}", text


def _languages(default: str) -> list[str]:
    """Return the other languages of this site. If the site does not set ``LANGUAGES``, there are
    none: Django's default lists about a hundred languages, and all their texts would be loaded."""
    is_default = list(django_settings.LANGUAGES) == list(global_settings.LANGUAGES)
    if is_default or not django_settings.USE_I18N:
        return []
    others = [code for code, _name in django_settings.LANGUAGES if code != default]
    return others[: _MAX_LANGUAGES - 1]


def _texts(language: str) -> dict[str, str]:
    """Return the description of each scope in ``language``. Leave out scopes whose name contains
    ``#``, because what follows it could be mistaken for a language."""
    with translation.override(language):
        described = {name: str(text).strip() for name, text in scopes.described().items()}
    named = [(name, text[:_MAX_LENGTH]) for name, text in described.items() if "#" not in name]
    return {name: text for name, text in named[:_MAX_SCOPES] if text}
