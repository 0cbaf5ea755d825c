"""A view that needs an access token. Both sites have it."""

from oauth2_provider.contrib.rest_framework import TokenHasScope
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class WhoAmIView(APIView):
    """Returns the user, the scope and the client of the access token in the request. Every valid
    token is accepted, whatever its scope."""

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
