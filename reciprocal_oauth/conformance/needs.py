"""What a check can need from the configuration, and how to give it."""

from typing import Final

NEEDS: Final = {
    "2c": "a second client of the tester at the subject: tester.at_subject.second",
    "2u": "a second user: a second name in users",
    "rev": "the subject's revocation_endpoint",
    "api": "an address of the subject's API that needs the token: subject.api",
    "scopes": "two scopes or more in tester.at_subject.scope",
    "other": "one more scope that the subject may grant: tester.at_subject.other_scope",
    "agreed": "the scope that is granted if nothing is asked: tester.at_subject.agreed_scope",
    "iss": "a subject that checks iss: subject.checks_iss = true",
    "special": "a secret with one of : + % (B: of tester.at_subject, A: of subject.at_tester)",
    "tls": "a tester that is reached by https: --tls-cert and --tls-key",
    "authorize": "the subject's authorization_endpoint, and a driver with the journey authorize",
    "form": "a hand-over with form parameters, as the draft has it",
    "authenticated": "a hand-over that authenticates the client, as the draft has it",
    "redemption": "a redemption with a form, as the draft has it",
    "revocation": "a dialect in which party A has a revocation endpoint",
    "draft": "the draft's hand-over, not a dialect",
    "metadata": "the subject's issuer",
    "use": "a driver with the journey use",
    "end": "a driver with the journey end",
    "update": "a driver with the journey update",
    "open": "a driver with the journey open",
    "forge": "a driver with the journey forge",
}
