"""Settings of an example site that does not say that it can check signatures, as a site with an
older version of this package."""

import json
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from example_project.settings import *  # noqa: F403
from example_project.settings import MIDDLEWARE

MIDDLEWARE = [*MIDDLEWARE, "tests.pairing.settings_without_keys.without_keys"]


def without_keys(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Take ``private_key_jwt`` out of the metadata."""

    def respond(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if "/.well-known/" in request.path and response.status_code == 200:
            metadata = json.loads(response.content)
            methods = metadata["token_endpoint_auth_methods_supported"]
            metadata["token_endpoint_auth_methods_supported"] = [
                method for method in methods if method != "private_key_jwt"
            ]
            response.content = json.dumps(metadata).encode()
        return response

    return respond
