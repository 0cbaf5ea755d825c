"""Goes through what SmartThings, Alexa and Google do with the music service, over real HTTP, and
prints each step. ``demo --vendors`` uses it. The vendors are stand-ins."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import requests

from ..driver import TIMEOUT_SECONDS, Page, PageError, Person
from ..servers import SiteError
from ..sites import Site
from ..walkthrough import WalkthroughFailed, Write
from .google import SUBJECT
from .processes import AlexaStandIn, GoogleStandIn, SmartThingsStandIn, StandIn

BOTH_WAYS = "Connected both ways"
ENDED = "This connection ended."
#: How long to wait for something that the music service does in the background, in seconds.
PATIENCE_SECONDS = 60


@dataclass(frozen=True, order=True)
class Line:
    """One line of the output: what somebody has done at a point in time.

    :ivar step: a step in figure 1 of the draft, if this is one; ``""`` otherwise.
    """

    at: datetime
    who: str
    step: str
    text: str


class VendorWalkthrough:
    """The demo user Alice links the music service with each of the three vendors, uses each link,
    and ends it."""

    def __init__(
        self,
        music: Site,
        smartthings: SmartThingsStandIn,
        alexa: AlexaStandIn,
        google: GoogleStandIn,
        write: Write,
    ) -> None:
        self.music, self.smartthings = music, smartthings
        self.alexa, self.google = alexa, google
        self.alice = Person("alice")
        self._write = write
        self._doing = ""
        self._vendor: StandIn = smartthings
        #: The address of the page of the present link.
        self._link = ""
        #: How many lines of the journal of the present vendor have been checked.
        self._checked = 0
        #: What the pages of the music service showed, besides the history of the link.
        self._notes: list[Line] = []

    def run(self) -> None:
        """Go through all flows, print each step, and check the results.

        :raises WalkthroughFailed: a step failed.
        """
        try:
            self._doing = f"signing in at {self.music}"
            self.alice.sign_in(self.music)
            self._smartthings()
            self._alexa()
            self._alexa_from_music()
            self._google()
        except (PageError, SiteError, requests.RequestException) as error:
            tails = "".join(
                f"\n\nThe end of the log of {server}:\n{server.log_tail()}"
                for server in (self._vendor, self.music)
            )
            raise WalkthroughFailed(
                f"{self._vendor}: failed while {self._doing}.\n"
                f"{type(error).__name__}: {error}{tails}"
            ) from error

    # The flows

    def _smartthings(self) -> None:
        with self._flow(self.smartthings, "links the connector in the app of SmartThings"):
            self._link_there()
            self._expect("asks which devices", "(grantCallbackAccess)", "(accessTokenRequest)")
            self._play()
            self._expect("(stateCallback): switch on")
            self._press("Let the tokens of the site expire")
            self._play()
            self._expect("refuses a stateCallback", "(refreshAccessTokens)", "switch on")
            self._press("Refresh the access token")
            self._press(f"Remove {self.music}")
            self._expect("(integrationDeleted)")
            self._expect_at_music(ENDED)

    def _alexa(self) -> None:
        with self._flow(self.alexa, "enables the skill in the app of Alexa"):
            self._link_there()
            self._expect("(AcceptGrant)", "exchanges the code", "gets AcceptGrant.Response")
            self._play()
            self._expect("takes an event of the site: ChangeReport")
            self._press("Send another code, as a form")
            self._expect("(reciprocalAccessTokenUrl)", "exchanges the code")
            self._press("Let the tokens of the site expire")
            self._play()
            self._expect("its token has expired", "gives the site a new access token", "takes an")
            self._press("Disable the skill")
            self._play()
            self._expect("refuses an event, because the person has disabled the skill")
            self._expect_at_music(ENDED)

    def _alexa_from_music(self) -> None:
        with self._flow(self.alexa, "starts at the music service, which enables the skill"):
            self._doing = "going to Login with Amazon"
            page = self.alice.browser.open(f"{self.music.url}/connections/")
            page = self.alice.browser.submit(page.form(action="/connections/alexa/connect/"))
            self._doing = "coming back from Login with Amazon"
            page = self.alice.browser.submit(page.form(button="Allow"))
            self._doing = "allowing Alexa to use the music service"
            self._link = self.alice.answer(page).url
            self._expect("with a code of the site", "the skill is enabled", "AcceptGrant.Response")
            self._expect_at_music(BOTH_WAYS)
            self._play()
            self._expect("takes an event of the site: ChangeReport")
            self._doing = "ending the link at the music service"
            page = self.alice.browser.open(f"{self._link}disconnect/")
            self.alice.browser.submit(page.form(button="Disconnect"))
            self._expect_at_music(ENDED)

    def _google(self) -> None:
        with self._flow(self.google, "links the account in an app of Google"):
            self._link_there()
            self._expect("exchanges the code", "with a signed ID token", "the code is redeemed")
            self._expect_at_music(SUBJECT)
            text = f"The page of the connection names the account at Google: {SUBJECT}"
            self._notes.append(Line(datetime.now(UTC), str(self.music), "", text))
            self._press("Refresh the access token")
            self._expect("refreshes its access token", "finds the device")
            self._press(f"Unlink {self.music}")
            self._expect("(DISCONNECT)")
            self._expect_at_music(ENDED)

    # What the person does

    def _link_there(self) -> None:
        """Link the account at the vendor, and find the page of the link at the music service."""
        before = self._links()
        self._doing = "going to the music service to allow the vendor"
        page = self._button(f"Link {self.music}")
        self._doing = "coming back to the vendor, which then sends its code"
        self._done(self.alice.authorize(page), "Linked")
        self._doing = "finding the link at the music service"
        new = self._links() - before
        if len(new) != 1:
            raise PageError(f"{self.music} lists {len(new)} new connections.")
        self._link = f"{self.music.url}/connections/links/{new.pop()}/"
        self._expect_at_music(BOTH_WAYS)

    def _links(self) -> set[str]:
        page = self.alice.browser.open(f"{self.music.url}/connections/")
        return {card.get("data-link") for card in page.document.all("li") if card.has("data-link")}

    def _press(self, text: str) -> None:
        self._doing = f"pressing “{text}” at {self._vendor}"
        self._done(self._button(text), "Done")

    def _button(self, text: str) -> Page:
        page = self.alice.browser.open(f"{self._vendor.url}/")
        return self.alice.browser.submit(page.form(button=text))

    def _done(self, page: Page, heading: str) -> None:
        found = page.document.first("h1")
        if page.status != 200 or found is None or found.text != heading:
            raise PageError(f"Expected “{heading}”, got {page}. It says: {page.text[:500]}")

    def _play(self) -> None:
        """Play the next track at the music service, which tells the vendors."""
        self._doing = "playing a track"
        page = self.alice.browser.open(f"{self.music.url}/")
        page = self.alice.browser.submit(page.form(action="/next/"))
        if page.status != 200:
            raise PageError(f"{page}: {page.text[:500]}")

    # Checks

    def _journal(self) -> list[dict[str, str]]:
        response = self.alice.browser.session.get(
            f"{self._vendor.url}/journal", timeout=TIMEOUT_SECONDS
        )
        journal: list[dict[str, str]] = response.json()
        return journal

    def _expect(self, *parts: str) -> None:
        """Wait until the journal of the vendor has new lines that contain ``parts``, in this order.

        :raises PageError: it has no such lines in time.
        """
        give_up = time.monotonic() + PATIENCE_SECONDS
        while True:
            journal = self._journal()
            position, missing = self._checked, list(parts)
            for number, entry in enumerate(journal[self._checked :], self._checked + 1):
                while missing and missing[0] in entry["text"]:
                    position = number
                    missing.pop(0)
            if not missing:
                self._checked = position
                return
            if time.monotonic() > give_up:
                told = "\n".join(entry["text"] for entry in journal[self._checked :])
                raise PageError(f"{self._vendor} does not say “{missing[0]}”. It says:\n{told}")
            time.sleep(0.1)

    def _expect_at_music(self, text: str) -> None:
        """Wait until the page of the link at the music service contains ``text``.

        :raises PageError: it does not contain it in time.
        """
        give_up = time.monotonic() + PATIENCE_SECONDS
        while text not in (page := self.alice.browser.open(self._link)).text:
            if time.monotonic() > give_up:
                raise PageError(f"{page} does not say “{text}”. It says: {page.text}")
            time.sleep(0.1)

    # Output

    @contextmanager
    def _flow(self, vendor: StandIn, what: str) -> Iterator[None]:
        """Begin a flow; at its end, print what the vendor and the music service did in it."""
        self._vendor, self._doing, self._link = vendor, "reading its journal", ""
        self._notes = []
        self._checked = before = len(self._journal())
        begun = datetime.now(UTC)
        self._write(f"{vendor} (stand-in): the person {what}.")
        try:
            yield
        finally:
            self._print(before, begun)

    def _print(self, before: int, begun: datetime) -> None:
        lines = [
            Line(datetime.fromisoformat(entry["at"]), str(self._vendor), "", entry["text"])
            for entry in self._journal()[before:]
        ]
        events = self.alice.browser.open(self._link).events() if self._link else []
        lines += [Line(event.at, str(self.music), event.step, event.text) for event in events]
        for line in sorted(line for line in [*lines, *self._notes] if line.at >= begun):
            step = {"": "", "consent": "you"}.get(line.step, f"({line.step})")
            seconds = (line.at - begun).total_seconds()
            moment = f"{line.at:%H:%M:%S.%f}"[:-3]
            self._write(f"{step:>5}  {moment}  +{seconds:6.3f} s  {line.who + ':':<13}{line.text}")
        self._write("")
