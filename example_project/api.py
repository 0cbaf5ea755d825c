"""The protected resource that both sites have."""

from oauth2_provider.contrib.rest_framework import TokenHasScope
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class WhoAmIView(APIView):
    """Returns the user and the client of an access token. Any valid token is allowed."""

    permission_classes = [TokenHasScope]
    required_scopes: list[str] = []
    schema = None

    def get(self, request: Request) -> Response:
        token = request.auth
        return Response(
            {
                "username": request.user.get_username() if request.user else "",
                "scope": token.scope,
                "client_id": token.application.client_id if token.application else "",
            }
        )
