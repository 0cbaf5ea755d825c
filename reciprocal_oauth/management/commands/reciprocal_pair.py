"""The command ``reciprocal_pair``. With it, an administrator pairs this site with another site: one
of them makes an invitation, and the other one accepts it."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Case, QuerySet, Value, When
from django.views.decorators.debug import sensitive_variables

from reciprocal_oauth.client.discovery import Metadata
from reciprocal_oauth.core import scopes
from reciprocal_oauth.exceptions import PairingError, PeerError
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import accepting, inviting, renewing
from reciprocal_oauth.pairing.inviting import Terms
from reciprocal_oauth.peers import discovery
from reciprocal_oauth.presentation import pairing_status
from reciprocal_oauth.secret import Secret

from . import _pair_asking, _pair_waiting
from ._actions import actions_of
from ._output import as_json, printable, table
from ._pair_flags import add_actions, refusal
from ._pair_text import about_invitation, about_offer, document_of, pairing_text, row_of

State = Pairing.State
_NOT_SENT = "Nothing was sent."


class Command(BaseCommand):
    """Invites, accepts, confirms, retries, withdraws, shows and lists pairings."""

    help = "Pairs this site with another site by one invitation. Secrets are not shown."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions and their options."""
        add_actions(actions_of(parser))

    @sensitive_variables()
    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run the action that the user has chosen, such as ``invite`` or ``list``.

        :raises CommandError: an option is not valid, or the action failed.
        """
        if "invitation" in options:
            # From now on, no report of an error contains it.
            options["invitation"] = Secret(options["invitation"])
        actions = {
            "invite": self.invite,
            "accept": self.accept,
            "confirm": self.confirm,
            "retry": self.retry,
            "withdraw": self.withdraw,
            "rotate": self.rotate,
            "end": self.end,
            "show": self.show,
            "list": self.list,
        }
        actions[action](options)

    # Site 1

    @sensitive_variables()
    def invite(self, options: dict[str, Any]) -> None:
        """Make an invitation, and print it alone on standard output.

        :raises CommandError: the other site cannot pair, or a value is wrong.
        """
        address = options["partner"]
        peer = _renewed(options)
        if address is None and peer is not None and peer.issuer:
            address = peer.issuer
        try:
            partner = None if address is None else inviting.look_up(address)
            if partner is not None:
                self._say(self._heading(partner.issuer))
                _require_renewal(partner.issuer, peer)
            terms = self._terms(options, peer, partner)
            pairing, text = inviting.invite(terms, partner=partner, lifetime=options["expires"])
        except (PairingError, PeerError) as error:
            raise refusal(error, "--for" if address else "") from error
        if options["json"]:
            self.stdout.write(as_json({**document_of(pairing), "invitation": text.reveal()}))
            return
        self._say(about_invitation(pairing))
        self.stdout.write(text.reveal())

    def confirm(self, options: dict[str, Any]) -> None:
        """Confirm the site that has used an invitation, and register there.

        :raises CommandError: the pairing does not wait for a confirmation, or the user says no.
        """
        pairing = _named(options["slug"])
        if pairing.state != State.ACCEPTED:
            raise CommandError(
                "This pairing does not wait for a confirmation. "
                f"{pairing_status.what_next(pairing)}"
            )
        if not pairing.issuer:
            raise CommandError(pairing_status.what_next(pairing))
        self._say(self._heading(pairing.issuer))
        self._say(pairing_text(pairing))
        asked = self._asked_on_confirming(options["scope"], pairing)
        host = pairing_status.host_of(pairing.issuer)
        _pair_asking.require_yes(f"\nPair with {host}?", given=options["yes"])
        try:
            inviting.confirm(pairing, asked_scope=asked)
        except PairingError as error:
            raise refusal(error) from error
        self._go_on(pairing, options)

    def _asked_on_confirming(self, given: str | None, pairing: Pairing) -> str | None:
        """Return what to ask for at the other site; ``None`` if that was decided before.

        The scopes to choose from are those that the other site has offered when it registered:
        nothing is requested from it before it is confirmed.

        :raises CommandError: the scope is missing or not among those.
        """
        if given is None and pairing.asked_scope:
            return None
        return _pair_asking.scope_of(
            given,
            flag="--scope",
            title="What this site may ask for there:",
            known=scopes.split(pairing.offered_scope),
            words=pairing_status.words_there(pairing),
            write=self._say,
        )

    # Site 2

    @sensitive_variables()
    def accept(self, options: dict[str, Any]) -> None:
        """Accept an invitation: show whom it is from, ask, register there, and wait.

        :raises CommandError: the invitation is not good, or the user says no.
        """
        text = _pair_asking.read_invitation(options["invitation"])
        peer = _renewed(options)
        try:
            offer = accepting.look_up(text.reveal())
            self._say(self._heading(offer.metadata.issuer))
            _require_renewal(offer.metadata.issuer, peer)
            terms = self._terms(options, peer, offer.metadata)
            self._say(about_offer(offer, terms))
            host = pairing_status.host_of(offer.metadata.issuer)
            _pair_asking.require_yes(f"\nPair with {host}?", given=options["yes"], done=_NOT_SENT)
            pairing = accepting.accept(offer, terms)
        except (PairingError, PeerError) as error:
            raise refusal(error, "INVITATION", _NOT_SENT) from error
        self._go_on(pairing, options)

    # Both sites

    def retry(self, options: dict[str, Any]) -> None:
        """Do now what is due for a pairing, and wait for the other site.

        :raises CommandError: the pairing is over.
        """
        pairing = _named(options["slug"])
        if pairing_status.is_over(pairing) and not pairing.task:
            raise CommandError(pairing_status.what_next(pairing))
        self._go_on(pairing, options, at_once=True)

    def withdraw(self, options: dict[str, Any]) -> None:
        """Withdraw an invitation, or stop a pairing that is under way.

        :raises CommandError: the pairing is complete or over.
        """
        pairing = _named(options["slug"])
        try:
            inviting.withdraw(pairing)
        except PairingError as error:
            raise refusal(error) from error
        if options["json"]:
            self.stdout.write(as_json(document_of(pairing)))
        else:
            self.stdout.write(f"{pairing} is withdrawn. The invitation is not good any more.")

    def rotate(self, options: dict[str, Any]) -> None:
        """Replace the credentials of this site at the other site, and test the new ones.

        :raises CommandError: they cannot be replaced.
        """
        pairing = _complete(options["slug"])
        try:
            if options["use_key"]:
                renewing.use_key(pairing)
            else:
                renewing.rotate(pairing)
        except (PairingError, PeerError) as error:
            raise refusal(error) from error
        self._go_on(pairing, options)

    def end(self, options: dict[str, Any]) -> None:
        """End a pairing at both sites.

        :raises CommandError: the pairing is not complete, or the user says no.
        """
        pairing = _complete(options["slug"])
        count = renewing.count_links(pairing)
        self._say(self._heading(pairing.issuer))
        self._say(f"The peer will be disabled. Connections that will end: {count}.")
        _pair_asking.require_yes("\nEnd this pairing?", given=options["yes"])
        try:
            renewing.end(pairing)
        except PairingError as error:
            raise refusal(error) from error
        self._go_on(pairing, options)

    def show(self, options: dict[str, Any]) -> None:
        """Print a pairing, and what it waits for."""
        pairing = _named(options["slug"])
        if options["json"]:
            self.stdout.write(as_json(document_of(pairing)))
        else:
            self.stdout.write(pairing_text(pairing))

    def list(self, options: dict[str, Any]) -> None:
        """Print the pairings that are under way or complete, or all of them."""
        found = _pairings()
        if not options["all"]:
            found = found.filter(state__in=(*Pairing.UNDER_WAY, State.COMPLETE))
        if options["json"]:
            self.stdout.write(as_json([document_of(pairing) for pairing in found]))
        elif not found:
            self.stdout.write(
                "There are no pairings. Make an invitation with: reciprocal_pair invite SLUG"
            )
        else:
            self.stdout.write(table(map(row_of, found)))

    def _go_on(self, pairing: Pairing, options: dict[str, Any], *, at_once: bool = False) -> None:
        """Do what is due, wait, print how far the pairing is, and exit with the status that says
        it."""
        wanted = State.ENDED if pairing.state == State.ENDED else State.COMPLETE
        _pair_waiting.go_on(pairing, options["wait"], self._say, at_once=at_once)
        if options["json"]:
            self.stdout.write(as_json(document_of(pairing)))
        else:
            self.stdout.write(pairing_text(pairing))
        if status := _pair_waiting.exit_status(pairing, wanted):
            sys.exit(status)

    def _terms(self, options: dict[str, Any], peer: Peer | None, partner: Metadata | None) -> Terms:
        """Return what the administrator has decided. At a terminal, ask for what is missing.

        :param peer: the peer to renew. What the user leaves out stays as it is.
        :param partner: the metadata of the other site; ``None`` if it is not known who it will be.
        :raises CommandError: a scope is missing or not known.
        """
        asked, allowed = options["scope"], options["allowed_scope"]
        if peer is not None:
            before = [*scopes.split(peer.scope), *scopes.split(peer.reciprocal_scope)]
            asked = scopes.join(before) if asked is None else asked
            allowed = peer.allowed_scope if allowed is None else allowed
        if partner is not None:
            words = Peer(slug=options["slug"], scope_words=discovery.words_of(partner))
            asked = _pair_asking.scope_of(
                asked,
                flag="--scope",
                title="What this site can ask for there:",
                known=partner.scopes,
                words=words.described_scopes(),
                write=self._say,
            )
        described = {token: str(text) for token, text in scopes.described().items()}
        allowed = _pair_asking.scope_of(
            allowed,
            flag="--allowed-scope",
            title="What the other site can hold here:",
            known=list(described),
            words=described,
            write=self._say,
        )
        return Terms(
            slug=options["slug"],
            allowed_scope=allowed,
            asked_scope=asked or "",
            our_name=options["name"],
            enable=options["enable"],
            renews=options["renew"],
        )

    def _heading(self, issuer: str) -> str:
        """Return the host of the other site, apart from everything else: this is what the user must
        check."""
        host = printable(pairing_status.host_of(issuer))
        return f"\n    {self.style.MIGRATE_HEADING(host)}\n"

    def _say(self, text: str) -> None:
        # Not to standard output: it contains only the result.
        self.stderr.write(text, style_func=str)


def _pairings() -> QuerySet[Pairing]:
    """Return all pairings: those under way first, and then the newest."""
    under_way = When(state__in=Pairing.UNDER_WAY, then=Value(0))
    order = Case(under_way, default=Value(1))
    return Pairing.objects.select_related("peer").order_by(order, "-created_at")


def _named(slug: str) -> Pairing:
    """Return the pairing with the short name ``slug``: the one under way, or else the newest.

    :raises CommandError: there is none.
    """
    pairing = _pairings().filter(slug=slug).first()
    if pairing is None:
        known = ", ".join(dict.fromkeys(_pairings().values_list("slug", flat=True))) or "none"
        raise CommandError(f"There is no pairing “{printable(slug)}”. Known: {known}.")
    return pairing


def _complete(slug: str) -> Pairing:
    """Return the complete pairing of the peer ``slug``.

    :raises CommandError: there is none.
    """
    pairing = _pairings().filter(peer__slug=slug, state=State.COMPLETE).first()
    if pairing is None:
        raise CommandError(f"There is no complete pairing “{printable(slug)}”.")
    return pairing


def _renewed(options: dict[str, Any]) -> Peer | None:
    """Return the peer to renew; ``None`` if there is no ``--renew``.

    :raises CommandError: there is no such peer.
    """
    if not options["renew"]:
        return None
    peer = Peer.objects.filter(slug=options["slug"]).first()
    if peer is None:
        raise CommandError(f"--renew: There is no peer “{printable(options['slug'])}”.")
    return peer


def _require_renewal(issuer: str, renewed: Peer | None) -> None:
    """Refuse a second peer for the same site, because people would not know which one to take.

    :raises CommandError: the site is already a peer, and there is no ``--renew``.
    """
    peer = Peer.objects.filter(issuer=issuer).order_by("pk").first()
    if peer is not None and renewed is None:
        raise CommandError(
            f"{_NOT_SENT}\n  This site is already the peer {peer.slug}. To give it new "
            f"credentials, repeat the command with the short name {peer.slug} and --renew. Its "
            "connections stay."
        )
