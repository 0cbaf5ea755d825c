"""What an endpoint that takes forms reads of a body.

Django reads a multipart body as soon as somebody asks for its fields, and writes its files to disk,
however long they are. No endpoint of OAuth takes files (RFC 6749, section 3.2; RFC 7009, section
2.1; RFC 7662, section 2.1). DOT takes forms of that type, so short ones are still taken.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ..core import protocol
from ..dialects.form import UNREADABLE, refusal_response
from ..dialects.ietf import HEADERS
from ..exceptions import HandoverRefused

View = Callable[..., HttpResponseBase]


class _NoFiles(FileUploadHandler):
    """Refuses a file before its first byte is kept."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise SuspiciousOperation("no file is taken here")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        raise SuspiciousOperation("no file is taken here")

    def file_complete(self, file_size: int) -> None:
        return None


def check_type(request: HttpRequest) -> None:
    """Refuse what would be written to disk. Call it before anything asks for ``request.POST``.

    :raises HandoverRefused: ``invalid_request``: a multipart body that is long, or has files.
    """
    if request.method != "POST" or request.content_type != "multipart/form-data":
        return  # Django reads no other body.
    if hasattr(request, "_post"):
        return  # Where a middleware has read it, nothing is left to refuse.
    if _length(request) > protocol.MAX_BODY_LENGTH:
        raise HandoverRefused(protocol.INVALID_REQUEST, "the body is a long multipart one")
    request.upload_handlers = [_NoFiles(request)]
    try:
        request.POST  # noqa: B018  Reads the body.
    except UNREADABLE as error:
        why = f"the multipart body cannot be read: {type(error).__name__}"
        raise HandoverRefused(protocol.INVALID_REQUEST, why) from None


def without_files(view: View) -> View:
    """Decorate a view that takes forms: :func:`check_type`, and 400 in JSON."""

    @wraps(view)
    def checking(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            check_type(request)
        except HandoverRefused as refused:
            return refusal_response(refused, HEADERS)
        return view(request, *args, **kwargs)

    return checking


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
