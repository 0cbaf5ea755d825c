"""The validator class of this site. Many sites with OpenID Connect have one."""

from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    """Adds the user name to ID tokens, so that users recognise their account at the other site."""

    oidc_claim_scope = {
        **OAuth2Validator.oidc_claim_scope,
        "preferred_username": "openid",
    }

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        return {"preferred_username": request.user.get_username()}
