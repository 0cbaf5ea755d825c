"""What both parties may do otherwise, in the files that they share."""

from .mutation import Allowed, Change, allowed

COMMON: tuple[Allowed, ...] = (
    allowed(
        "scope-in-other-order",
        "The words of a scope come in another order than they were asked.",
        Change('return " ".join(sorted(scopes))', 'return " ".join(sorted(scopes, reverse=True))'),
    ),
    allowed(
        "keeps-connections",
        "It speaks HTTP/1.1 and keeps connections open.",
        Change(
            "        timeout = 60\n",
            '        timeout = 60\n        protocol_version = "HTTP/1.1"\n',
        ),
    ),
    allowed(
        "json-with-charset",
        "Its JSON names UTF-8, and more than no-store is said to caches.",
        Change(
            '"Content-Type": "application/json", "Cache-Control": "no-store"',
            '"Content-Type": "application/json;charset=UTF-8", '
            '"Cache-Control": "private, max-age=0, no-cache, No-Store"',
        ),
    ),
    allowed(
        "basic-in-small-letters",
        "It writes the scheme basic in small letters (RFC 9110, section 11.1).",
        Change('return "Basic " + base64', 'return "basic " + base64'),
    ),
    allowed(
        "encodes-more-characters",
        "It encodes characters of its credentials that need not be encoded.",
        Change(
            'pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"',
            "both = (client_id.encode(), secret.encode())\n"
            '    pair = ":".join("".join(f"%{byte:02x}" for byte in each) for each in both)',
        ),
    ),
    allowed(
        "no-content-length",
        "Its responses end with the connection.",
        Change(
            '            self.send_header("Content-Length", str(len(response.body)))\n',
            '            self.send_header("Connection", "close")\n',
        ),
    ),
)
