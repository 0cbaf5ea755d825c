"""Says in a sentence why a request failed, so that an administrator can find the cause.

A sentence contains no part of the request or of the peer's response. If this module does not know
the cause of an error, the sentence contains the names of the exception classes instead.
"""

import errno
import socket
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, IncompleteRead

from requests.exceptions import SSLError, Timeout

#: OpenSSL's numbers for certificate errors (``X509_V_ERR_…`` in x509_vfy.h).
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
_ISSUER_UNKNOWN = (2, 18, 19, 20, 21, 24)
#: The names that OpenSSL gives to the error if the server does not use TLS. Each version of OpenSSL
#: can use another name.
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_TOO_LATE = "it did not respond in time."
_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def describe(error: Exception) -> str:
    """Return a sentence that says why the request that raised ``error`` failed."""
    if isinstance(error, Timeout):
        # Do not describe the cause of a timeout. This site itself closes the connection at the
        # deadline, so the sentence would wrongly say that the peer closed the connection.
        return _TOO_LATE
    causes = list(_causes(error))
    for cause in reversed(causes):
        if sentence := _sentence(cause):
            return sentence
    kinds = dict.fromkeys(type(cause).__name__ for cause in (error, causes[-1]))
    start = "the TLS connection failed" if isinstance(error, SSLError) else "no response"
    return f"{start} ({', '.join(kinds)})."


def describe_lookup(error: Exception) -> str:
    """Return a sentence that says why the look-up of a host name failed."""
    number = getattr(error, "errno", None)
    if number == socket.EAI_AGAIN:
        return "no name server responds at the moment."
    # On some systems, the module socket has no constant EAI_NODATA.
    if number in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
        return "the name does not exist, or it has no address."
    return f"the look-up failed ({type(error).__name__})."


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, then its cause, then the cause of this cause, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _sentence(cause: BaseException) -> str:
    match cause:
        case ssl.SSLCertVerificationError():
            return _describe_certificate(cause)
        case ssl.SSLError() if cause.reason in _NOT_TLS:
            return "the server does not use https at this address."
        case ConnectionRefusedError():
            return "the connection was refused: nothing listens there."
        case ConnectionError() | IncompleteRead():
            return "the connection was closed before the response was complete."
        case BadStatusLine():
            return "the server did not respond with HTTP."
        case OSError() if cause.errno in _NO_ROUTE:
            return "the network has no route to it."
        case TimeoutError():
            return _TOO_LATE
    return ""


def _describe_certificate(error: ssl.SSLCertVerificationError) -> str:
    """Return a sentence that says what is wrong with the peer's certificate (RFC 5280, section 6;
    RFC 9525, section 6)."""
    match error.verify_code:
        case code if code == _EXPIRED:
            return "its certificate has expired."
        case code if code == _NOT_YET_VALID:
            return "its certificate is not valid yet."
        case code if code in _OTHER_NAME:
            return "its certificate is for another name."
        case code if code in _ISSUER_UNKNOWN:
            return (
                "its certificate has an unknown issuer, or intermediate certificates are missing."
            )
    return f"its certificate is not valid ({error.verify_message})."
