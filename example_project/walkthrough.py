"""Goes through the whole protocol over real HTTP, and prints each step. ``demo --auto`` uses it."""

import time
from collections.abc import Callable
from datetime import datetime

import requests

from .driver import Event, Page, PageError, Person
from .sites import Site, SiteError

Write = Callable[[str], object]

#: Pairs of a step in figure 1 of the draft and a party. The history of the link at the site of this
#: party must contain the step. Some steps are in the histories of both parties.
STEPS = (
    *(("A", "A"), ("B", "A"), ("C", "A"), ("D", "B"), ("D", "A"), ("consent", "A")),
    *(("E", "A"), ("E", "B"), ("F", "B"), ("F", "A"), ("G", "A"), ("G", "B")),
)


class WalkthroughFailed(Exception):
    """A step failed. ``str()`` says which step failed and why, and contains the last lines of the
    logs of both sites."""


class Walkthrough:
    """The demo user Alice connects the assistant with the music service. After that, each site
    calls the other site for her."""

    def __init__(self, assistant: Site, music: Site, write: Write) -> None:
        self.assistant = assistant
        self.music = music
        self.alice = Person("alice")
        self._write = write
        self._doing = ""
        self._at = assistant

    def run(self) -> None:
        """Connect the two sites, print each step, and then use the tokens of both directions.

        :raises WalkthroughFailed: a step failed.
        """
        try:
            self._link()
            self._tell_accounts()
            self._tell_steps()
            self._prove()
        except (PageError, SiteError, requests.RequestException) as error:
            tails = "".join(
                f"\n\nThe end of the log of {site}:\n{site.log_tail()}"
                for site in (self._at, self._at.other)
            )
            raise WalkthroughFailed(
                f"Failed while {self._doing}.\n{type(error).__name__}: {error}{tails}"
            ) from error

    def _link(self) -> None:
        alice = self.alice
        for site in (self.assistant, self.music):
            self._begin(site, f"signing in at {site}")
            alice.sign_in(site)
        begun = time.monotonic()
        self._begin(self.music, "going to the music service, step (A)")
        page = alice.connect(self.assistant)
        self._begin(self.assistant, "coming back with a code and exchanging it, steps (B) to (D)")
        page = alice.authorize(page)
        _expect(page, "/consent/")
        self._begin(self.assistant, "allowing the reverse")
        page = alice.answer(page)
        _expect(page, "/connections/links/")
        self._begin(self.music, "handing over and redeeming the code, steps (E) to (G)")
        alice.wait_until_two_way(page.url)
        # An older link can be left of a run in which the sites had other addresses.
        alice.wait_until_two_way(alice.link_page(self.music, newest=True).url)
        self._write(f"Linked both ways in {time.monotonic() - begun:.2f} s.\n")

    def _tell_accounts(self) -> None:
        """Print which account of the other site each site shows. Sites that were added by hand
        have not said how to find this out."""
        for site in (self.assistant, self.music):
            if site.is_paired:
                self._begin(site, f"reading which account at {site.other} is connected")
                page = self.alice.link_page(site, newest=True)
                name = self.alice.wait_for_account(page.url)
                if name != self.alice.name:
                    raise PageError(f"{page} names the account {name!r}.")
                line = f"{site.role.name} shows the account: {name} at {site.other.role.name}"
                self._write(line)
        self._write("")

    def _tell_steps(self) -> None:
        self._begin(self.assistant, "reading the history of the link")
        events = self.alice.link_page(self.assistant, newest=True).events()
        self._begin(self.music, "reading the history of the link")
        events += self.alice.link_page(self.music, newest=True).events()
        found = {(event.step, event.party): event for event in events if event.outcome == "ok"}
        for missing in [each for each in STEPS if each not in found]:
            raise PageError(f"Step {missing[0]} is missing in the history of party {missing[1]}.")
        start = found[STEPS[0]].at
        told = [found[each] for each in STEPS]
        for event in sorted(told, key=lambda event: event.at):
            self._write(self._line(event, start))
        self._write("")

    def _line(self, event: Event, start: datetime) -> str:
        step = "you" if event.step == "consent" else f"({event.step})"
        site = self.assistant if event.party == "A" else self.music
        seconds = (event.at - start).total_seconds()
        return f"{step:>5}  {event.at:%H:%M:%S.%f}"[:-3] + (
            f"  +{seconds:6.3f} s  {site.role.name + ':':<11}{event.text}"
        )

    def _prove(self) -> None:
        """Use the tokens of both directions: each site calls the API of the other site."""
        self._begin(self.music, "playing a track through the assistant")
        page = self.alice.press(self.assistant, "/play/")
        answer, heard = page.text_of("answer"), page.text_of("heard")
        if not answer or not heard:
            raise PageError(f"{page} shows no answer, or nothing reported back: {page.text}")
        self._write(f"Assistant → Music  api/player/       {answer}")
        self._write(f"Music → Assistant  api/now-playing/  {heard}")
        for site, other in ((self.assistant, self.music), (self.music, self.assistant)):
            self._begin(other, f"asking {other} whom it takes {site} for")
            page = self.alice.press(site, "/check/")
            facts = {
                name: page.text_of(f"check-{name}") for name in ("username", "scope", "client")
            }
            expected = {"username": self.alice.name, "client": site.client_id}
            if any(facts[name] != value for name, value in expected.items()) or not facts["scope"]:
                raise PageError(f"{page} says {facts}; expected {expected}")
            self._write(
                f"{site.role.name + ' → ' + other.role.name:<17}  api/whoami/       "
                f"{facts['username']}, scope {facts['scope']}, client {facts['client']}"
            )

    def _begin(self, site: Site, doing: str) -> None:
        self._at, self._doing = site, doing


def _expect(page: Page, part: str) -> None:
    if page.status != 200 or part not in page.path:
        raise PageError(f"Expected a page at {part}, got {page}. It says: {page.text[:500]}")
