"""Why no answer came, in a sentence: for administrators, who have to know where to look.

It repeats nothing of the request, nor of what the peer has sent. What has no sentence is told by
the names of the errors.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, IncompleteRead

from requests.exceptions import SSLError, Timeout

#: OpenSSL's numbers of what is wrong with a certificate (``X509_V_ERR_…`` in x509_vfy.h).
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
_ISSUER_UNKNOWN = (2, 18, 19, 20, 21, 24)
#: What OpenSSL says where the answer to its greeting is not TLS; versions differ.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_TOO_LATE = "it did not answer in time."
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def in_words(error: Exception) -> str:
    """Why the exchange that ended with ``error`` did not come about."""
    if isinstance(error, Timeout):
        # Below it may stand that the connection was closed: by this site, at its deadline.
        return _TOO_LATE
    causes = list(_causes(error))
    for cause in reversed(causes):
        if sentence := _sentence(cause):
            return sentence
    kinds = dict.fromkeys(type(cause).__name__ for cause in (error, causes[-1]))
    start = "no encrypted connection came about" if isinstance(error, SSLError) else "no answer"
    return f"{start} ({', '.join(kinds)})."


def of_look_up(error: Exception) -> str:
    """Why a name does not resolve."""
    number = getattr(error, "errno", None)
    if number == socket.EAI_AGAIN:
        return "no name server answers at the moment."
    # Not every system has the second.
    if number in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return "there is no such name, or it has no address."
    return f"the look-up failed ({type(error).__name__})."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what is below it."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _sentence(cause: BaseException) -> str:
    match cause:
        case ssl.SSLCertVerificationError():
            return _of_certificate(cause)
        case ssl.SSLError() if cause.reason in _NOT_TLS:
            return "there is no https at this address."
        case ConnectionRefusedError():
            return "the connection was refused: nothing listens there."
        case ConnectionError() | IncompleteRead():
            return "the connection was closed before the answer was whole."
        case BadStatusLine():
            return "what answers there does not speak HTTP."
        case OSError() if cause.errno in _NO_WAY:
            return "the network has no way there."
        case TimeoutError():
            return _TOO_LATE
    return ""


def _of_certificate(error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            return "its certificate has expired."
        case code if code == _NOT_YET_VALID:
            return "its certificate is not valid yet."
        case code if code in _OTHER_NAME:
            return "its certificate is for another name."
        case code if code in _ISSUER_UNKNOWN:
            return "its certificate is of an issuer unknown here, or comes without those between."
    return f"its certificate does not hold ({error.verify_message})."
