"""The keys with which this site signs: how they are made, used, replaced and retired.

A new key is first published, so that peers that keep a copy of the public set know the key before
it is used. After :data:`PUBLISHED_BEFORE_USE` the key becomes active, and the key before it is
retired. A retired key stays in the public set for :data:`PUBLISHED_AFTER_USE`, so that an assertion
that is under way can still be checked.

There is at most one active key and one published key of each algorithm. Any number of processes can
call these functions at once.
"""

import json
import logging
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import IntegrityError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from jwcrypto import jwk

from ..core.database import atomic, tried_again
from ..models import SigningAlgorithm, SiteKey
from ..secret import Secret

logger = logging.getLogger("reciprocal_oauth.keys")

#: How long a new key is published before this site signs with it. It is longer than peers may keep
#: a copy of the public set (one hour).
PUBLISHED_BEFORE_USE = timedelta(hours=2)
#: How long a key stays in the public set after this site has signed with it for the last time.
PUBLISHED_AFTER_USE = timedelta(hours=24)
#: The size of an RSA key in bits (RFC 7518, section 3.3, requires at least 2048).
_RSA_BITS = 2048
#: How often a replacement at once is tried. It fails only if another process makes a key in the
#: same moment.
_ATTEMPTS = 5

_State = SiteKey.State


def algorithm_for(known: Collection[str]) -> SigningAlgorithm | None:
    """Return the algorithm with which to sign for a server.

    :param known: the algorithms that the server knows, as its metadata lists them
        (``token_endpoint_auth_signing_alg_values_supported``; RFC 8414, section 2). Empty if the
        metadata lists none.
    :returns: ES256, or RS256 for a server that does not know ES256. ``None`` if the server knows
        neither.
    """
    if not known:
        return SigningAlgorithm.ES256
    return next((each for each in SigningAlgorithm if each in known), None)


def signing_key(algorithms: Collection[str] = ()) -> SiteKey:
    """Return the key with which this site signs now. If there is none, make it: a first key is
    active at once, because no peer has a copy of the public set.

    :param algorithms: the algorithms that the other server knows; see :func:`algorithm_for`. If
        this site has none of them, ES256 is used.
    """
    algorithm = algorithm_for(algorithms) or SigningAlgorithm.ES256
    keys = {key.state: key for key in _current(algorithm)}
    published = keys.get(_State.PUBLISHED)
    # A published key without an active one is left only if somebody has deleted a row.
    if published is not None and (_State.ACTIVE not in keys or _is_due(published)):
        _activate(published)
        keys = {key.state: key for key in _current(algorithm)}
    return keys.get(_State.ACTIVE) or _make_active(algorithm)


def rotate(*, at_once: bool = False) -> list[SiteKey]:
    """Replace the key of each algorithm that this site uses. If this site has no key yet, make one.

    If a rotation has begun already, do not begin another one.

    :param at_once: sign with the new keys now, and remove the former keys from the public set now.
        This is for keys that somebody else may know. Requests can be refused until peers have
        fetched the public set again.
    :returns: the new keys, one for each algorithm. A key that is published already is returned
        again.
    """
    used = SiteKey.objects.filter(slot__isnull=False).values_list("alg", flat=True)
    algorithms = sorted(set(used)) or [SigningAlgorithm.ES256]
    return [_replace_now(each) if at_once else _publish_next(each) for each in algorithms]


def retire(kid: str) -> bool:
    """Remove a key that this site does not sign with from the public set now.

    A published key never becomes active then. The active key is not retired: replace it.

    :returns: whether there is such a key, and it is not the active one.
    """
    rows = SiteKey.objects.filter(kid=kid, state__in=(_State.PUBLISHED, _State.RETIRED))
    return bool(tried_again(rows.update)(**_retired(timezone.now())))


def advance() -> None:
    """Activate the published keys whose time has come. :func:`signing_key` does the same for the
    key that it returns, so a site that signs often does not need this function."""
    for key in SiteKey.objects.filter(state=_State.PUBLISHED):
        if _is_due(key):
            _activate(key)


def _current(algorithm: str) -> list[SiteKey]:
    """Return the active key and the published key of ``algorithm``, if there are any."""
    return list(SiteKey.objects.filter(alg=algorithm, slot__isnull=False))


def _is_due(key: SiteKey) -> bool:
    return key.created_at + PUBLISHED_BEFORE_USE <= timezone.now()


def _slot(algorithm: str, state: str) -> str:
    return f"{algorithm}:{state}"


def _retired(until: datetime) -> dict[str, object]:
    """Return the column values of a key that is retired. Nobody needs its private part again."""
    return {"state": _State.RETIRED, "slot": None, "retires_at": until, "private_jwk": ""}


@tried_again
def _activate(key: SiteKey) -> None:
    """Make the published ``key`` the active one, and retire the active key of the same algorithm.
    Do nothing if another process has just done this."""
    now = timezone.now()
    rows = SiteKey.objects.filter(alg=key.alg)
    with atomic():
        locked = rows.filter(slot__isnull=False).select_for_update().order_by("pk")
        if key.pk not in {row.pk for row in locked if row.state == _State.PUBLISHED}:
            return
        rows.filter(state=_State.ACTIVE).update(**_retired(now + PUBLISHED_AFTER_USE))
        rows.filter(pk=key.pk).update(
            state=_State.ACTIVE, slot=_slot(key.alg, _State.ACTIVE), activated_at=now
        )
    logger.info("This site signs with the key %s now", key.kid, extra={"action": "key_activated"})


def _make_active(algorithm: str) -> SiteKey:
    """Return the active key of ``algorithm``. Make one if there is none."""
    return _stored(_new_key(algorithm, _State.ACTIVE))


def _publish_next(algorithm: str) -> SiteKey:
    """Publish a key that becomes active later. If there is a published key, return this one."""
    advance()
    states = {key.state: key for key in _current(algorithm)}
    if _State.ACTIVE not in states:
        return _make_active(algorithm)
    return states.get(_State.PUBLISHED) or _stored(_new_key(algorithm, _State.PUBLISHED))


def _stored(key: SiteKey) -> SiteKey:
    """Save ``key`` and return it. If another process has just made a key for the same purpose,
    return that key instead."""
    try:
        with atomic():
            key.save(force_insert=True)
    except IntegrityError:
        return SiteKey.objects.get(slot=key.slot)
    logger.info(
        "A key of this site was made: %s, %s", key.kid, key.state, extra={"action": "key_made"}
    )
    return key


def _replace_now(algorithm: str) -> SiteKey:
    """Retire the current keys of ``algorithm`` now, and return a new active key. If another process
    does the same at once, both return one key.

    :raises IntegrityError: other processes make a key again and again.
    """
    known = [key.pk for key in _current(algorithm)]
    for _attempt in range(_ATTEMPTS - 1):
        try:
            return _replace(algorithm, known)
        except IntegrityError:  # Another process has just made the key that this one would make.
            continue
    return _replace(algorithm, known)


@tried_again
def _replace(algorithm: str, known: Collection[int]) -> SiteKey:
    with atomic():
        # Lock the rows in the order in which _activate() locks them.
        list(
            SiteKey.objects.filter(alg=algorithm, slot__isnull=False)
            .select_for_update()
            .order_by("pk")
        )
        SiteKey.objects.filter(pk__in=known).update(**_retired(timezone.now()))
        active = SiteKey.objects.filter(slot=_slot(algorithm, _State.ACTIVE)).first()
        if active is None:
            active = _new_key(algorithm, _State.ACTIVE)
            active.save(force_insert=True)
    logger.warning(
        "The keys of this site for %s were replaced at once by %s",
        algorithm,
        active.kid,
        extra={"action": "key_replaced"},
    )
    return active


@sensitive_variables()
def _new_pair(algorithm: str) -> jwk.JWK:
    """Return a new key pair whose thumbprint does not begin with ``-``. A command would take such
    an ID for an option."""
    while True:
        if algorithm == SigningAlgorithm.RS256:
            pair = jwk.JWK.generate(kty="RSA", size=_RSA_BITS)
        else:
            pair = jwk.JWK.generate(kty="EC", crv="P-256")
        if not pair.thumbprint().startswith("-"):
            return pair


@sensitive_variables()
def _new_key(algorithm: str, state: str) -> SiteKey:
    """Return a new key pair that is not saved yet.

    Its ID is the thumbprint of the public key (RFC 7638, section 3), so that people can compare it.
    """
    pair = _new_pair(algorithm)
    kid, now = pair.thumbprint(), timezone.now()
    public = {**pair.export_public(as_dict=True), "kid": kid, "alg": str(algorithm), "use": "sig"}
    return SiteKey(
        kid=kid,
        alg=algorithm,
        public_jwk=json.dumps(public),
        private_jwk=Secret(pair.export_private()),
        state=state,
        slot=_slot(algorithm, state),
        created_at=now,
        activated_at=now if state == _State.ACTIVE else None,
    )
