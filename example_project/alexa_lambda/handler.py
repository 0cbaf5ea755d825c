"""The part of a smart home skill's AWS Lambda function that forwards the codes of Alexa.

Environment: HANDOVER_URL (https://site.example/connections/handover/alexa/), CLIENT_ID and
CLIENT_SECRET (the credentials of Alexa at the site). Give the function a timeout of 8 seconds.
"""

import base64
import json
import os
import urllib.request
import uuid
from urllib.parse import quote

TIMEOUT_SECONDS = 6  # The site responds within about four seconds.
REGIONS = {"us-east-1": "NA", "eu-west-1": "EU", "us-west-2": "FE"}


class NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args):
        return None  # Another host must not get the code and the secret.


without_redirects = urllib.request.build_opener(NoRedirects)


def lambda_handler(event, context):
    header = event["directive"]["header"]
    if header["namespace"] == "Alexa.Authorization":
        return forward(event) or failed()
    return other_directives(event, context)


def other_directives(event, context):
    raise NotImplementedError("Put the other directives of your skill here.")


def forward(event):
    pair = ":".join(quote(os.environ[name], safe="") for name in ("CLIENT_ID", "CLIENT_SECRET"))
    headers = {
        "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
        "Content-Type": "application/json",
    }
    if region := REGIONS.get(os.environ.get("AWS_REGION")):
        headers["X-Alexa-Region"] = region
    body = json.dumps(event).encode()
    request = urllib.request.Request(os.environ["HANDOVER_URL"], body, headers)  # noqa: S310
    try:
        with without_redirects.open(request, timeout=TIMEOUT_SECONDS) as response:
            answer = json.load(response)
    except (OSError, ValueError):  # No response in time, a 401 or 500, or no JSON.
        return None
    return answer if isinstance(answer, dict) and "event" in answer else None


def failed():
    header = {"namespace": "Alexa.Authorization", "name": "ErrorResponse", "payloadVersion": "3"}
    payload = {"type": "ACCEPT_GRANT_FAILED", "message": "The site did not accept the grant."}
    return {"event": {"header": {**header, "messageId": str(uuid.uuid4())}, "payload": payload}}
