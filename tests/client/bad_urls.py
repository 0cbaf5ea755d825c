"""URLs that no peer may have, each with what is wrong with it."""

BAD = {
    "plain http": "http://peer.example/token/",
    "a user name": "https://user@peer.example/token/",
    "a password": "https://user:pass@peer.example/token/",
    "an empty user name": "https://@peer.example/token/",
    "a fragment": "https://peer.example/token/#part",
    "an empty fragment": "https://peer.example/token/#",
    "a port out of range": "https://peer.example:99999/token/",
    "a port that is no number": "https://peer.example:https/token/",
    "port 0": "https://peer.example:0/token/",
    "another scheme": "ftp://peer.example/token/",
    "a script": "javascript:alert(1)",
    "a file": "file:///etc/passwd",
    "no scheme": "peer.example/token/",
    "no host": "https:///token/",
    "a backslash": "https://peer.example\\@evil.example/token/",
    "a space": "https://peer.example/to ken/",
    "a line break": "https://peer.example/token/\r\nX-Evil: 1",
    "half an IPv6 address": "https://[::1/token/",
    "a label that begins with a dot": "https://.peer.example/token/",
}
