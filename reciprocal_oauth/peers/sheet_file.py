"""The sheet of a peer as a file. An administrator of one site saves it, and an administrator of the
other site imports it, in place of copying each value by hand.

The file is a JSON object. It never contains a secret. This is the sheet that the site
``assistant.example`` gives to its peer:

::

    {
      "reciprocal_sheet": 1,
      "authorization_server": {
        "issuer": "https://assistant.example/o",
        "authorization_endpoint": "https://assistant.example/o/authorize/",
        "token_endpoint": "https://assistant.example/o/token/"
      },
      "client": {
        "client_name": "assistant.example",
        "redirect_uris": ["https://assistant.example/connections/music/callback/"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "playback",
        "logo_uri": "https://assistant.example/static/logo.png",
        "reciprocal_description": "Plays music when you ask for it."
      },
      "registration": {"client_id": "music", "scope": "profile speak"}
    }

``authorization_server`` has the endpoints of the site that gives the sheet (RFC 8414, section 2).
``client`` is what this site registers as at the other one (RFC 7591, section 2), and what it says
of itself to people; see :mod:`.site_display`. ``registration`` is how the other site is registered
at this one (RFC 7591, section 3.2.1). Unknown members are ignored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

from ..conf import settings
from ..core import scopes, site_metadata
from ..core.peer_urls import origin_of, url_problem
from ..core.plain_text import plain
from ..core.protocol import OPENID
from ..models import Peer, PeerAuthentication
from ..models.binding import ADDRESS_FIELDS
from . import site_display
from .sheet import Sheet

#: The version of the form, in the member ``reciprocal_sheet``.
VERSION = 1
#: The largest file that is read, in bytes.
MAX_BYTES = 64 * 1024

_MAX_URL, _MAX_NAME, _MAX_TEXT, _MAX_SCOPE, _MAX_URIS = 500, 200, 255, 1000, 5
_SERVER, _CLIENT, _REGISTRATION = "authorization_server", "client", "registration"
#: Members that can hold a secret. A sheet that has one is refused, so that nobody gets used to
#: sending secrets in files.
_SECRETS = ("client_secret", "registration_access_token")
_MARK = "reciprocal_sheet"


class UnusableSheet(Exception):
    """A file is no sheet, or contains values that cannot be used.

    :ivar problems: translated texts. Each names a member and says what was expected.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class ImportedSheet:
    """What a sheet of another site says.

    :ivar values: values for the fields of the peer, by field name.
    :ivar redirect_uris: the redirect URIs of the peer, for its application at this site.
    :ivar asked_scope: what the other site asks for at this site. An administrator decides what it
        may have.
    :ivar left_out: the fields of the peer for which the sheet has a value that cannot be used.
    """

    values: Mapping[str, Any]
    redirect_uris: list[str]
    asked_scope: str
    left_out: Sequence[str] = ()

    def other_origins(self) -> list[str]:
        """Return the origins of the addresses that have another one than the issuer. Nobody has
        signed the sheet, so a person must judge whether they belong to the peer."""
        addresses = [self.values.get(name, "") for name in (*ADDRESS_FIELDS, "jwks_uri")]
        found = {origin_of(url) for url in (*addresses, *self.redirect_uris)}
        return sorted(found - {"", origin_of(self.values["issuer"])})


def document_of(peer: Peer, sheet: Sheet, base: str) -> dict[str, Any]:
    """Return the content of the file that the administrator of ``peer`` can import.

    :param sheet: the sheet for ``peer``, with URLs.
    :param base: the URL of this site; not empty.
    """
    server = {
        "issuer": sheet.issuer,
        "authorization_endpoint": sheet.authorization_endpoint,
        "token_endpoint": sheet.token_endpoint,
        "revocation_endpoint": sheet.revocation_endpoint,
        "reciprocal_endpoint": sheet.reciprocal_endpoint,
    }
    client = {
        "client_name": urlsplit(base).hostname or "",
        "client_uri": f"{base}/",
        "redirect_uris": [sheet.redirect_uri],
        "grant_types": sheet.grant_types.split(),
        "response_types": sheet.response_types.split(),
        "token_endpoint_auth_method": peer.token_endpoint_auth_method,
        "scope": sheet.scope_there,
        "jwks_uri": sheet.jwks_uri,
        **site_display.members_of(site_metadata.values(sheet.issuer or base)),
    }
    uses_key = peer.uses_key_here
    registration = {
        "client_id": sheet.client_id,
        "scope": sheet.scope_here,
        "token_endpoint_auth_method": (
            Peer.AuthMethod.PRIVATE_KEY_JWT if uses_key else Peer.AuthMethod.BASIC
        ).value,
    }
    parts: dict[str, dict[str, Any]] = {
        _SERVER: server,
        _CLIENT: client,
        _REGISTRATION: registration,
    }
    return {
        _MARK: VERSION,
        **{name: {k: v for k, v in part.items() if v} for name, part in parts.items()},
    }


def read(content: bytes) -> ImportedSheet:
    """Return what the sheet in a file says.

    :raises UnusableSheet: the file is no sheet, or contains values that cannot be used. The error
        names all of them.
    """
    return _Reader(_object(content)).sheet()


def _object(content: bytes) -> Mapping[str, Any]:
    if len(content) > MAX_BYTES:
        raise UnusableSheet(
            _("A sheet has at most %(limit)d bytes. This file is larger.") % {"limit": MAX_BYTES}
        )
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise UnusableSheet(_("This is no sheet: a JSON document in UTF-8 was expected.")) from None
    if not isinstance(document, dict) or _MARK not in document:
        raise UnusableSheet(
            _("This is no sheet: a JSON object with the member “%(name)s” was expected.")
            % {"name": _MARK}
        )
    if document[_MARK] is True or document[_MARK] != VERSION:
        raise UnusableSheet(
            _("%(name)s: version %(version)d was expected. A later version needs a later release.")
            % {"name": _MARK, "version": VERSION}
        )
    return document


@dataclass
class _Reader:
    """Reads a sheet member by member, and collects what is wrong."""

    document: Mapping[str, Any]
    problems: list[str] = field(default_factory=list)

    def sheet(self) -> ImportedSheet:
        for part in (_SERVER, _CLIENT, _REGISTRATION):
            self._refuse_secrets(part, self._part(part))
        values: dict[str, Any] = {
            **self._endpoints(),
            "name": plain(self._text(_CLIENT, "client_name", _MAX_TEXT), _MAX_NAME),
            "client_id": self._client_id(),
            "token_endpoint_auth_method": self._auth_method(_REGISTRATION),
            **self._keys(),
        }
        values["homepage"] = self._homepage(values["issuer"])
        granted = self._scope(_REGISTRATION)
        values["scope"] = granted
        values["reciprocal_scope"] = scopes.without_openid(granted)
        uris, asked = self._redirect_uris(), self._scope(_CLIENT)
        if self.problems:
            raise UnusableSheet(*self.problems)
        said = site_display.read(self._part(_CLIENT), values["issuer"])
        values |= said.values
        return ImportedSheet(
            {name: v for name, v in values.items() if v}, uris, asked, said.left_out
        )

    def _endpoints(self) -> dict[str, str]:
        names = ("issuer", "authorization_endpoint", "token_endpoint", "revocation_endpoint")
        found = {name: self._url(_SERVER, name) for name in names}
        for name in ("issuer", "token_endpoint"):
            if not self._part(_SERVER).get(name):
                self._expected(_SERVER, name, _("an https address"))
        other = self._url(_SERVER, "reciprocal_endpoint")
        found["reciprocal_endpoint"] = "" if other == found["token_endpoint"] else other
        return found

    def _keys(self) -> dict[str, str]:
        if self._auth_method(_CLIENT) != Peer.AuthMethod.PRIVATE_KEY_JWT:
            return {}
        jwks_uri = self._url(_CLIENT, "jwks_uri")
        if not self._part(_CLIENT).get("jwks_uri"):
            self._expected(_CLIENT, "jwks_uri", _("an https address"))
        return {
            "authenticates_here_by": PeerAuthentication.PRIVATE_KEY_JWT.value,
            "jwks_uri": jwks_uri,
        }

    def _homepage(self, issuer: str) -> str:
        # This site may send secrets to all addresses of a peer, so it takes no other site for it.
        homepage = self._url(_CLIENT, "client_uri")
        return homepage if origin_of(homepage) == origin_of(issuer) else ""

    def _client_id(self) -> str:
        found = self._text(_REGISTRATION, "client_id", _MAX_TEXT)
        if not found or not (found.isascii() and found.isprintable()):
            self._expected(_REGISTRATION, "client_id", _("printable ASCII characters"))
        return found

    def _auth_method(self, part: str) -> str:
        found = self._text(part, "token_endpoint_auth_method", _MAX_TEXT)
        if found and found not in Peer.AuthMethod.values:
            known = ", ".join(Peer.AuthMethod.values)
            expected = _("one of: %(known)s") % {"known": known}
            self._expected(part, "token_endpoint_auth_method", expected)
        return found

    def _redirect_uris(self) -> list[str]:
        uris = self._part(_CLIENT).get("redirect_uris")
        expected = _("a list of 1 to %(count)d https addresses") % {"count": _MAX_URIS}
        found = uris if isinstance(uris, list) else []
        if not 0 < len(found) <= _MAX_URIS or not all(isinstance(uri, str) for uri in found):
            self._expected(_CLIENT, "redirect_uris", expected)
            return []
        for uri in found:
            if problem := _url_problem(uri):
                self._add(_CLIENT, "redirect_uris", problem)
        return found

    def _scope(self, part: str) -> str:
        tokens = scopes.parse(self._text(part, "scope", _MAX_SCOPE))
        if tokens is None:
            self._expected(part, "scope", _("names of scopes, separated by spaces"))
        elif part == _CLIENT:
            tokens = [token for token in tokens if token != OPENID]
        return scopes.join(tokens or ())

    def _url(self, part: str, name: str) -> str:
        url = self._text(part, name, _MAX_URL)
        if url and (problem := _url_problem(url)):
            self._add(part, name, problem)
            return ""
        return url

    def _text(self, part: str, name: str, limit: int) -> str:
        value = self._part(part).get(name)
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > limit:
            expected = _("a text of at most %(limit)d characters") % {"limit": limit}
            self._expected(part, name, expected)
            return ""
        return value

    def _part(self, part: str) -> Mapping[str, Any]:
        found = self.document.get(part)
        if isinstance(found, dict):
            return found
        problem = _("%(member)s: %(what)s was expected.")
        text = problem % {"member": part, "what": _("a JSON object")}
        if text not in self.problems:
            self.problems.append(text)
        return {}

    def _refuse_secrets(self, part: str, members: Mapping[str, Any]) -> None:
        for name in _SECRETS:
            if name in members:
                self._add(
                    part, name, _("A sheet must not contain a secret. Enter the secret by hand.")
                )

    def _expected(self, part: str, name: str, what: str) -> None:
        text = _("%(what)s was expected.") % {"what": what[:1].upper() + what[1:]}
        self._add(part, name, text)

    def _add(self, part: str, name: str, problem: str) -> None:
        text = f"{part}.{name}: {problem}"
        if text not in self.problems and part in self.document:
            self.problems.append(text)


def _url_problem(url: str) -> str:
    if not url.isascii() or len(url) > _MAX_URL:
        return _("An ASCII text of at most %(limit)d characters was expected.") % {
            "limit": _MAX_URL
        }
    return url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK) or ""
