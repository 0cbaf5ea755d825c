"""The DOT validator class of this site. Many sites that use OpenID Connect have their own class."""

from typing import Any

from oauth2_provider.oauth2_validators import OAuth2Validator


class Validator(OAuth2Validator):
    """Adds the user name to ID tokens. The other site shows this name, so users can see which of
    their accounts at this site they have connected."""

    oidc_claim_scope = {
        **OAuth2Validator.oidc_claim_scope,
        "preferred_username": "openid",
    }

    def get_additional_claims(self, request: Any) -> dict[str, Any]:
        return {"preferred_username": request.user.get_username()}
