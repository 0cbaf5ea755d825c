"""What right requests are spoilt with."""

from urllib.parse import quote_plus

from hypothesis import strategies as st

from reciprocal_oauth.core.protocol import GRANT_TYPE

Fields = list[tuple[bytes, bytes]]


def encoded(value: str) -> bytes:
    return quote_plus(value.encode("utf-8", "surrogatepass")).encode()


def as_form(pairs: Fields) -> bytes:
    return b"&".join(name + b"=" + value for name, value in pairs)


ODD_BYTES = [
    b"", b"%", b"%z", b"%zz", b"%00", b"%ff%fe", b"%ed%a0%80", b"%0d%0a", b"%c3", b"%e2%80%ae",
    b"\x00", b"\xff\xfe", b"\xc3", b"\xf0\x9f\x8e\xb5", b"\r\n", b"&", b"=", b"&&=&", b";",
    b"+", b" ", b"#", b'{"a":', b"[" * 9000, b"a&" * 2000, b"a=b&" * 300, b"A" * 256, b"A" * 4096,
    b"A" * 4097, b"A" * 70_000, b"A" * 3_000_000, b"canary", b"<canary>",
    b"\r\n--x\r\n\r\n", b"--x--",
    b"authorization_code", b"refresh_token", b"password", b"client_credentials", b"implicit",
    encoded(GRANT_TYPE), b"playback", b"https://[", b"[", b"1", b"[1]", b"{}", b"openid", b"None",
]  # fmt: skip
# Also names of attributes: oauthlib lets a parameter stand in for one that is not set.
NAMES = [
    b"grant_type", b"code", b"client_id", b"access_token", b"client_secret", b"scope", b"state",
    b"redirect_uri", b"code_verifier", b"refresh_token", b"username", b"password", b"resource",
    b"encoding", b"user", b"client", b"request", b"refresh_token_instance", b"response_type",
    b"response_mode", b"scopes", b"expires_in", b"extra_credentials", b"headers", b"body", b"nonce",
    b"claims", b"code_challenge", b"code_challenge_method", b"iss", b"token_endpoint", b"prompt",
    b"source_refresh_token_object", b"_reciprocal_redemption", b"_valid_code", b"_code_is_spent",
]  # fmt: skip
CHARSETS = ["utf-8", "UTF-8", '"utf-8"', "latin-1", "utf-16", "utf-7", "idna", "base64",
            "utf-8-sig", "punycode", "rot13", "undefined", "unicode_escape", "x", '"']  # fmt: skip
METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "A", "post"]


odd_bytes = st.sampled_from(ODD_BYTES) | st.binary(max_size=20)
names = st.sampled_from(NAMES) | odd_bytes
values = odd_bytes | st.text(max_size=9).map(encoded)
header_text = st.text(st.characters(max_codepoint=255, exclude_characters="\0\r\n"), max_size=20)
queries = st.one_of(
    st.builds(lambda name, value: name + b"=" + value, names, values),
    st.binary(max_size=20),
).map(lambda query: "".join(chr(byte) for byte in query[:9000] if byte > 0x20 and byte != 0x7F))
