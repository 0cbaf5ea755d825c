"""The tester as a client of party A: it redeems codes (F, G), refreshes, and calls the API."""

from dataclasses import dataclass

from ..client_of_subject import AUTHENTICATIONS
from ..config import Api, Client
from ..verdicts import Broken, NotGiven, Unclear, Verdict
from ..wire.client import Request, Response
from .serving import HandOver, Serving

Pairs = list[tuple[str, str]]


@dataclass(frozen=True)
class Tokens:
    """What party A issued to the tester."""

    response: Response
    access_token: str
    refresh_token: str

    @property
    def scope(self) -> str | None:
        """The scope of the token response, or ``None`` if it says none."""
        value = self.response.member("scope")
        return value if isinstance(value, str) else None

    @property
    def scopes(self) -> set[str]:
        return set((self.scope or "").split())


class Redeeming(Serving):
    """Redeems codes at party A's token endpoint."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        self._has_adapted = False

    def redemption(
        self,
        code: str,
        *,
        client: Client | None = None,
        more: Pairs | None = None,
        way: str = "",
    ) -> Request:
        """Return the right token request (RFC 6749, section 4.1.3), with parameters added.

        :param way: how to authenticate, or ``none``.
        """
        client = client or self.config.tester
        pairs = [("grant_type", "authorization_code"), ("code", code), *(more or [])]
        if way == "none":
            request = self.token_request([*pairs, ("client_id", client.client_id)], client, "body")
            body = b"&".join(
                pair for pair in request.body.split(b"&") if not pair.startswith(b"client_secret=")
            )
            return Request(request.method, request.url, request.headers, body)
        return self.token_request(pairs, client, way)

    def redeem(self, handover: HandOver) -> Response:
        """Redeem a code rightly. The first time, find out how party A wants the tester to
        authenticate: one fault must not blank the run."""
        ways = [self.authentication]
        if not self._has_adapted and self.config.tester.auth == "basic":
            ways = list(AUTHENTICATIONS)
        self._has_adapted = True
        for way in ways:
            response = self.send(self.redemption(handover.code, way=way))
            if response.status != 401 and response.member("error") != "invalid_client":
                self.authentication = way
                break
            self.refused_authentications.setdefault(way, response)
        return response

    def redeemed(self, handover: HandOver) -> Tokens:
        """Redeem a code.

        :raises Unclear: there are no tokens.
        """
        response = self.redeem(handover)
        if response.status != 200:
            raise Unclear(f"The redemption of the code was answered with {response}.")
        return self.tokens(response)

    def tokens(self, response: Response) -> Tokens:
        """Read a token response.

        :raises Unclear: it has no access token.
        """
        access, refresh = response.member("access_token"), response.member("refresh_token")
        if not isinstance(access, str) or not access:
            raise Unclear("The token response has no access_token.")
        refresh = refresh if isinstance(refresh, str) else ""
        self.secret(access, "access_token")
        self.secret(refresh, "refresh_token")
        return Tokens(response, access, refresh)

    def must_not_give_tokens(
        self, request: Request, what: str, statuses: tuple[int, ...] = (400,)
    ) -> Response:
        """Send a token request that must be refused.

        :raises Broken: it is not, or not with one of the statuses.
        """
        response = self.send(request)
        if response.status == 200 or response.status not in statuses:
            allowed = " or ".join(str(status) for status in statuses)
            raise Broken(f"{what} is answered with {allowed}.", f"It was answered with {response}.")
        return response

    def refresh(self, tokens: Tokens, more: Pairs | None = None) -> Response:
        """Refresh tokens (RFC 6749, section 6).

        :raises NotGiven: there is no refresh token.
        """
        if not tokens.refresh_token:
            raise NotGiven("a subject that issues refresh tokens")
        pairs = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token)]
        return self.send(self.token_request([*pairs, *(more or [])], self.config.tester))

    def call(self, token: str, api: Api | None = None) -> Response:
        """Call party A's API (RFC 6750, section 2.1).

        :raises NotGiven: the configuration has no address.
        """
        if not self.config.subject.api:
            raise NotGiven("subject.api")
        api = api or self.config.subject.api[0]
        return self.send(Request("GET", api.url, [("Authorization", f"Bearer {token}")]))

    def must_work(self, tokens: Tokens) -> Response:
        """Call the API with a token that is good for it.

        :raises Broken: the API refuses.
        """
        api = self.api_for(tokens.scopes)
        response = self.call(tokens.access_token, api)
        if response.status >= 400:
            raise Broken("The access token works at the API.", f"The API answers {response}.")
        return response

    def must_be_dead(
        self, tokens: Tokens, *, what: str, api_at_worst: Verdict = Verdict.FAIL
    ) -> None:
        """Call the API and refresh with tokens that must not work any more.

        :raises Broken: one of them works.
        """
        if tokens.refresh_token:
            response = self.refresh(tokens)
            if not 400 <= response.status < 500:
                raise Broken(f"{what}: the refresh is refused.", f"It is answered with {response}.")
        if self.config.subject.api:
            response = self.call(tokens.access_token, self.api_for(tokens.scopes))
            if response.status not in (401, 403):
                raise Broken(
                    f"{what}: the API answers 401.",
                    f"It answers {response}.",
                    at_worst=Verdict.WARN if is_self_contained(tokens) else api_at_worst,
                )

    def api_for(self, scopes: set[str]) -> Api | None:
        """Return an address of the API that needs no other scope than these, else the first one."""
        apis = self.config.subject.api
        fitting = [api for api in apis if not api.scope or set(api.scope.split()) <= scopes]
        return fitting[0] if fitting else apis[0] if apis else None

    def revoke(self, tokens: Tokens) -> Response:
        """Revoke both tokens at party A (RFC 7009, section 2). An authorization server may end
        them together, or each by itself.

        :returns: the response about the refresh token, if there is one.
        """
        url = self.endpoint("revocation_endpoint")
        responses = []
        for token, hint in (
            (tokens.refresh_token, "refresh_token"),
            (tokens.access_token, "access_token"),
        ):
            if token:
                pairs = [("token", token), ("token_type_hint", hint)]
                request = self.token_request(pairs, self.config.tester)
                request = Request(request.method, url, request.headers, request.body)
                responses.append(self.send(request))
        return responses[0]


def is_self_contained(tokens: Tokens) -> bool:
    """Whether the access token looks like a JWT. An API that verifies it by itself learns late
    that it has ended (RFC 7009, section 3)."""
    return tokens.access_token.count(".") == 2
