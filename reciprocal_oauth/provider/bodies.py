"""Refuses uploaded files and long multipart bodies before Django stores them.

When a view first reads ``request.POST``, Django reads a multipart body and can write its files to
disk, whatever their size. OAuth requests contain no files, because they use
``application/x-www-form-urlencoded`` (RFC 6749, section 4.1.3; RFC 7009, section 2.1; RFC 7662,
section 2.1). DOT also accepts multipart forms, so short multipart forms without files are still
accepted.
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
    """An upload handler that refuses every file before its first byte is stored."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise SuspiciousOperation("no file is taken here")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        raise SuspiciousOperation("no file is taken here")

    def file_complete(self, file_size: int) -> None:
        return None


def refuse_files(request: HttpRequest) -> None:
    """Refuse a body that Django would write to disk. Call it before ``request.POST`` is read.

    :raises HandoverRefused: ``invalid_request`` if a multipart body is too long, contains a file,
        or cannot be read (RFC 6749, section 5.2).
    """
    if request.method != "POST" or request.content_type != "multipart/form-data":
        return  # Django writes only multipart bodies to disk.
    if hasattr(request, "_post"):
        return  # A middleware has already read the body.
    if _length(request) > protocol.MAX_BODY_LENGTH:
        raise HandoverRefused(protocol.INVALID_REQUEST, "the body is a long multipart one")
    request.upload_handlers = [_NoFiles(request)]
    try:
        request.POST  # noqa: B018  Reads the body.
    except UNREADABLE as error:
        why = f"the multipart body cannot be read: {type(error).__name__}"
        raise HandoverRefused(protocol.INVALID_REQUEST, why) from None


def refusing_files(view: View) -> View:
    """Decorate a view that takes forms: check each request with :func:`refuse_files` first, and
    respond to a refused request with status 400 and JSON."""

    @wraps(view)
    def checking(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            refuse_files(request)
        except HandoverRefused as refused:
            return refusal_response(refused, HEADERS)
        return view(request, *args, **kwargs)

    return checking


def _length(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 0
