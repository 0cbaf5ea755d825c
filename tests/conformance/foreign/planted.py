"""Mistakes that can be planted into the sites by name, and differences that the draft allows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """:ivar checks: IDs of the checks that must find it."""

    name: str
    checks: tuple[str, ...]
    what: str

    def __str__(self) -> str:
        return self.name


def _mistake(name: str, checks: str, what: str) -> Mistake:
    return Mistake(name, tuple(checks.split()), what)


@dataclass(frozen=True)
class Difference:
    """Something that the draft leaves open. The whole role must pass as without it."""

    name: str
    what: str

    def __str__(self) -> str:
        return self.name


#: Both sites that are party B have these.
_OF_ANY_B = (
    _mistake("tokens_of_others_taken", "B-TOK-1", "The token's client is not compared."),
    _mistake("client_id_ignored", "B-MISS-3 B-BLANK-3", "client_id is not read."),
    _mistake("redirect_uri_sent", "B-RED-3", "The redemption is made like that of any code."),
    _mistake(
        "redeems_in_the_request",
        "B-TIME-1 B-TIME-2",
        "The code is redeemed before the answer, and a failure is the answer.",
    ),
    _mistake("replay_redeemed", "B-REP-2 B-REP-4", "A repeated request is redeemed again."),
    _mistake(
        "replay_of_another_user_taken",
        "B-REP-3",
        "Only the code of a repetition is compared.",
    ),
    _mistake("redirects_followed", "B-RETRY-3", "The HTTP client follows redirects by default."),
    _mistake("certificate_unchecked", "B-RED-5", "The check of certificates is switched off."),
    _mistake("redeems_once", "B-RETRY-1", "A failed redemption is given up."),
    _mistake("refusal_tried_again", "B-RETRY-2", "Every error is taken for one that passes."),
    _mistake("retry_after_ignored", "B-RETRY-4", "Retry-After is not read."),
    _mistake("client_tokens_taken", "B-TOK-6", "A token of client_credentials is a user's, too."),
    _mistake("older_code_wins", "B-UPD-2", "The token that comes last is kept."),
    _mistake(
        "refresh_token_lost",
        "B-USE-2",
        "A refresh deletes the refresh token.",
    ),
    _mistake("disconnect_keeps_tokens", "B-END-1", "Only the own row is deleted."),
)

AUTHLIB_B = (
    *_OF_ANY_B,
    _mistake("expiry_ignored", "B-TOK-4", "The token is looked up, and its life is not compared."),
    _mistake("revocation_ignored", "B-TOK-5", "A revoked token is a row that is still there."),
    _mistake("letter_case_ignored", "B-TOK-3", "The database compares without letter case."),
    _mistake("query_read", "B-SHAPE-1", "The library's payload holds the query, too."),
    _mistake("says_all", "B-ANS-2", "The description of an error repeats what came."),
    _mistake("any_origin", "B-ANS-4", "CORS is on for the whole site."),
    _mistake("replay_refused", "B-REP-1", "A repeated request is an error."),
    _mistake("unknown_parameters_refused", "B-PARAM-1", "Parameters are counted."),
    _mistake("asks_with_a_list", "B-ASK-1", "The scope is a JSON list."),
    _mistake("iss_left_out", "B-AUTHZ-5", "The library's extension for iss is not registered."),
    _mistake("verifier_sent", "B-RED-3", "The client library adds a verifier to each code."),
    _mistake("secret_sent_twice", "B-RED-2", "The secret is in the header and in the body."),
    _mistake("redeems_by_get", "B-RED-1", "The redemption has another method."),
    _mistake("endpoint_of_the_request", "B-TARGET-1", "The request says where to redeem."),
    _mistake("caches_may_keep_it", "B-ANS-3", "The response lost a header on its way."),
    _mistake("worker_dies", "B-RETRY-5", "An exception ends the worker that redeems the codes."),
    _mistake("one_after_the_other", "B-TIME-3", "One worker redeems all codes."),
    _mistake("user_of_the_response", "B-USE-1", "The token response says whose token it is."),
    _mistake("one_session_for_all", "B-USE-3", "The session of the client is made once."),
    _mistake("api_called_for_ever", "B-USE-4", "A 401 is tried again."),
)

NODE_B = (
    *_OF_ANY_B,
    _mistake("credentials_not_encoded", "B-RED-2", "ID and secret are joined as they are."),
    _mistake("refresh_tokens_taken", "B-TOK-9", "Any token that exists is taken."),
    _mistake("repeated_codes_taken", "B-TWICE-2", "The library is told to let them pass."),
    _mistake("any_token_type", "B-USE-6", "The type is not read."),
    _mistake("error_uncaught", "B-RETRY-5", "A rejected promise ends the process."),
)

AUTHLIB_A = (
    _mistake("state_ignored", "A-CB-1 A-CB-2", "The state is not compared."),
    _mistake("state_of_any_browser", "A-CB-4", "The states are the same for all browsers."),
    _mistake("issuer_ignored", "A-CB-3", "iss is not compared."),
    _mistake("no_pkce", "A-AUTHZ-2", "The client library has PKCE, and it is not switched on."),
    _mistake("code_stays_in_the_address", "A-CB-6", "The callback shows the question itself."),
    _mistake("error_unhandled", "A-CB-7", "The exception of the library is not caught."),
    _mistake("issuer_optional", "A-CB-9", "Its iss is compared only if it is there."),
    _mistake("any_token_type", "A-CB-10", "The library does not look at the type."),
    _mistake("end_forgets_retries", "A-END-4", "The thread that tries again is not told."),
    _mistake("never_refreshed", "A-TOK-1", "The token is used as it came."),
    _mistake("dates_ignored", "A-RETRY-3", "Retry-After is taken for a number."),
    _mistake("token_unchecked", "A-CB-8", "The library takes null for an access token."),
    _mistake("consent_by_get", "A-CON-3", "The answer is read from the query, too."),
    _mistake("no_csrf", "A-CON-3", "The form has a token, and nobody compares it."),
    _mistake("sent_before_consent", "A-CON-1 A-CON-2", "The code is handed over at the callback."),
    _mistake("denial_ignored", "A-CON-2", "Any answer is a yes."),
    _mistake("ticks_ignored", "A-SCOPE-1", "The code has the scope that was asked."),
    _mistake("scope_unchecked", "A-SCOPE-5", "reciprocal is taken as it came."),
    _mistake("asked_scope_ignored", "A-SCOPE-3", "The agreed scope is always offered."),
    _mistake("agreed_scope_ignored", "A-SCOPE-4", "Nothing asked is nothing offered."),
    _mistake("scope_left_out", "A-SCOPE-1", "The token response does not say the scope."),
    _mistake("first_token_kept", "A-E-4", "A user who connects again keeps the first token."),
    _mistake("body_must_be_json", "A-RETRY-7", "A 200 counts only with a JSON object."),
    _mistake("client_id_left_out", "A-E-1", "The header has the ID already."),
    _mistake("client_id_twice", "A-E-1", "The library adds the client_id that is there already."),
    _mistake("short_codes", "A-E-5", "The codes are short."),
    _mistake("sent_in_the_address", "A-E-2 A-E-6", "The parameters are in the query."),
    _mistake("endpoint_of_the_response", "A-E-7", "The token response says where to send."),
    _mistake("certificate_unchecked", "A-E-9", "The check of certificates is switched off."),
    _mistake("first_user_always", "A-E-8", "The code is not that of the user who answered."),
    _mistake("handed_over_once", "A-RETRY-1", "A failed hand-over is given up."),
    _mistake("same_code_again", "A-RETRY-2", "The code is made once and sent again."),
    _mistake("retry_after_ignored", "A-RETRY-3", "Retry-After is not read."),
    _mistake("refusal_resent", "A-RETRY-4", "Every error is taken for one that passes."),
    _mistake("redirects_followed", "A-RETRY-5", "The HTTP client follows redirects by default."),
    _mistake("redirect_uri_required", "A-CODE-1", "The code is redeemed like any other."),
    _mistake("verifier_always_required", "A-CODE-1", "PKCE is required of every code."),
    _mistake("code_reusable", "A-CODE-2", "The code is not deleted."),
    _mistake("code_taken_last", "A-CODE-10", "The code is deleted after the tokens are made."),
    _mistake("tokens_of_a_reused_code_live", "A-CODE-3", "A second redemption is only refused."),
    _mistake("code_of_another_client_taken", "A-CODE-4", "The code's client is not compared."),
    _mistake("codes_live_on", "A-CODE-6", "The life of the code is not compared."),
    _mistake("verifier_ignored", "A-CODE-7", "A verifier is ignored."),
    _mistake("exemption_leaks", "A-CODE-12", "No code needs a verifier."),
    _mistake("scope_of_the_redemption", "A-CODE-9", "The redemption says which scope it gets."),
    _mistake("update_only_adds", "A-UPD-2", "Tokens keep what was taken away."),
    _mistake("codes_keep_their_scope", "A-UPD-3", "A code keeps what was taken away."),
    _mistake("tokens_outlive_the_link", "A-END-1", "Only the own row is deleted."),
    _mistake("peer_keeps_our_token", "A-END-2", "The token at the peer is not revoked."),
    _mistake("api_ignores_scope", "A-API-1", "Any token opens any resource."),
)

DIFFERENCES_OF_B = (
    Difference("answers_with_nothing", "The body of the 200 is empty."),
    Difference("asks_nothing", "The scope was agreed before, so reciprocal is left out."),
    Difference("redeems_later", "The redemption takes place after a second."),
)
DIFFERENCES_OF_AUTHLIB_B = (
    *DIFFERENCES_OF_B,
    Difference("credentials_in_the_body", "The redemption has client_secret in its body."),
    Difference("another_error", "A token that is not valid is an invalid_request."),
)
DIFFERENCES_OF_AUTHLIB_A = (
    Difference("sends_later", "The code is handed over after a second."),
    Difference("credentials_in_the_body", "The hand-over has client_secret in its body."),
    Difference("all_ticked", "The page begins with all boxes ticked."),
)
