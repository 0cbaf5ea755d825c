"""Mistakes of a party B with the parameters and the body of the request that hands a code over."""

from .mutation import Change, Mutant, mutant

OTHER_CLIENT = 'if form["client_id"] != client.id:'
CONTENT_TYPE = (
    '        if "Content-Type" not in self.headers or self.headers.get_content_type() != FORM:\n'
    '            raise Refused("invalid_request")\n'
)
TWICE = "if name in form and name not in several:"
BLANK = "return {name: value for name, value in form.items() if value}"
LOOK_UP = 'token = self.server.access_token(form["access_token"])'
POST_ONLY = '"/token": {"POST": server.token_endpoint},'


PARAMETERS: tuple[Mutant, ...] = (
    mutant(
        "refuses-unknown-parameters",
        "B-PARAM-1",
        "It refuses parameters that it does not know.",
        Change(
            OTHER_CLIENT,
            'if set(form) - {"grant_type", "code", "client_id", "access_token", "client_secret"}:\n'
            '            raise Refused("invalid_request")\n'
            f"        {OTHER_CLIENT}",
        ),
    ),
    mutant(
        "refuses-charset",
        "B-PARAM-2",
        "It compares the whole header Content-Type.",
        Change("self.headers.get_content_type() != FORM", 'self.headers["Content-Type"] != FORM'),
    ),
    mutant(
        "guesses-grant-type",
        "B-MISS-1 B-BLANK-1",
        "It guesses the grant type from the other parameters.",
        Change(
            '        if "grant_type" not in form:\n            raise Refused("invalid_request")\n',
            '        form.setdefault("grant_type", RECIPROCAL)\n',
        ),
    ),
    mutant(
        "takes-no-code",
        "B-MISS-2 B-BLANK-2",
        "It takes a request without a code, and answers 200.",
        Change(
            'for name in ("code", "client_id", "access_token"):',
            'for name in ("client_id", "access_token"):',
        ),
        Change('        code = form["code"]\n', '        code = form.get("code", "")\n'),
    ),
    mutant(
        "needs-no-client-id",
        "B-MISS-3 B-BLANK-3",
        "It does not need client_id, because the client authenticates by Basic.",
        Change(
            'for name in ("code", "client_id", "access_token"):',
            'for name in ("code", "access_token"):',
        ),
        Change(OTHER_CLIENT, 'if form.get("client_id", client.id) != client.id:'),
    ),
    mutant(
        "guesses-user",
        "B-MISS-4 B-BLANK-4",
        "Without an access token it takes the one that it issued last.",
        Change(
            'for name in ("code", "client_id", "access_token"):',
            'for name in ("code", "client_id"):',
        ),
        Change(
            LOOK_UP,
            "last = [each.value for each in self.server.tokens.values() if not each.is_refresh]\n"
            '        token = self.server.access_token(form.get("access_token", last[-1]))',
        ),
    ),
    mutant(
        "error-500-without-token",
        "B-MISS-4 B-BLANK-4",
        "A missing access token is an error of the program.",
        Change(
            'for name in ("code", "client_id", "access_token"):',
            'for name in ("code", "client_id"):',
        ),
    ),
    mutant(
        "blank-is-given",
        "B-BLANK-2",
        "A code that is empty counts as given.",
        Change(BLANK, "return form"),
    ),
    mutant(
        "last-one-wins",
        "B-TWICE-1 B-TWICE-2 B-TWICE-3 B-TWICE-4",
        "Of a repeated parameter it takes the last one.",
        Change(TWICE, "if False:"),
        Change(
            'form[name] = f"{form[name]} {value}" if name in form else value', "form[name] = value"
        ),
    ),
    mutant(
        "first-one-wins",
        "B-TWICE-1 B-TWICE-2 B-TWICE-3 B-TWICE-4",
        "Of a repeated parameter it takes the first one.",
        Change(TWICE, "if False:"),
        Change(
            'form[name] = f"{form[name]} {value}" if name in form else value',
            "form.setdefault(name, value)",
        ),
    ),
    *(
        mutant(
            f"takes-{name.replace('_', '-')}-twice",
            f"B-TWICE-{number}",
            f"It takes {name} twice.",
            Change(TWICE, f'if name in form and name != "{name}":'),
            Change(
                'form[name] = f"{form[name]} {value}" if name in form else value',
                "form[name] = value",
            ),
        )
        for number, name in enumerate(("grant_type", "code", "client_id", "access_token"), start=1)
    ),
    mutant(
        "reads-query-too",
        "B-SHAPE-1",
        "It reads parameters of the query, too.",
        Change(BLANK, f"form = {{**self.arguments(), **form}}\n        {BLANK}"),
    ),
    mutant(
        "takes-json",
        "B-SHAPE-2",
        "It takes JSON.",
        Change(
            CONTENT_TYPE,
            '        if self.headers.get_content_type() == "application/json":\n'
            "            return dict(json.loads(self.body))\n" + CONTENT_TYPE,
        ),
    ),
    mutant(
        "takes-get",
        "B-SHAPE-3",
        "It takes the hand-over by GET.",
        Change(
            POST_ONLY, '"/token": {"POST": server.token_endpoint, "GET": server.token_endpoint},'
        ),
        Change(
            CONTENT_TYPE,
            '        if self.method == "GET":\n            return self.arguments()\n'
            + CONTENT_TYPE,
        ),
    ),
    mutant(
        "error-500-at-get",
        "B-SHAPE-3",
        "A GET is an error of the program.",
        Change(POST_ONLY, '"/token": {"POST": server.token_endpoint, "GET": server.undefined},'),
        Change(
            "    def metadata(self, grant_types",
            "    def undefined(self, request: Request) -> Response:\n"
            '        return json_response({"error": "server_error"}, 500)\n\n'
            "    def metadata(self, grant_types",
        ),
    ),
    mutant(
        "any-content-type",
        "B-SHAPE-4",
        "It reads a form from a body of any type.",
        Change(CONTENT_TYPE, ""),
    ),
    mutant(
        "takes-multipart",
        "B-SHAPE-4",
        "It takes multipart/form-data.",
        Change(
            CONTENT_TYPE,
            '        if self.headers.get_content_type() == "multipart/form-data":\n'
            "            head = b'Content-Type: ' + self.headers['Content-Type'].encode()\n"
            "            whole = head + b'\\r\\n\\r\\n' + self.body\n"
            "            parts = message_from_bytes(whole).get_payload()\n"
            "            name = 'content-disposition'\n"
            "            return {\n"
            "                str(each.get_param('name', header=name)): each.get_payload()\n"
            "                for each in parts\n"
            "            }\n" + CONTENT_TYPE,
        ),
        Change(
            "from email.message import Message\n",
            "from email import message_from_bytes\nfrom email.message import Message\n",
        ),
    ),
    mutant(
        "no-content-type",
        "B-SHAPE-4",
        "A body without a type counts as a form.",
        Change(
            CONTENT_TYPE,
            CONTENT_TYPE.replace(
                'if "Content-Type" not in self.headers or', 'if "Content-Type" in self.headers and'
            ),
        ),
    ),
    mutant(
        "error-500-at-emoji",
        "B-SHAPE-5",
        "A code that is no ASCII is an error of the program.",
        Change(
            "if len(code) > MAX_CODE or not (code.isascii() and code.isprintable()):",
            'code.encode("ascii")\n        if len(code) > MAX_CODE or not code.isprintable():',
        ),
    ),
    mutant(
        "error-500-at-null",
        "B-SHAPE-5",
        "A code with a zero byte is an error of the program, as PostgreSQL makes it.",
        Change(
            "if len(code) > MAX_CODE or not (code.isascii() and code.isprintable()):",
            'assert "\\0" not in code\n'
            "        if len(code) > MAX_CODE or not (code.isascii() and code.isprintable()):",
        ),
    ),
    mutant(
        "error-500-at-bytes",
        "B-SHAPE-5",
        "Bytes that are not UTF-8 are an error of the program.",
        Change(
            '        except ValueError:\n            raise Refused("invalid_request") from',
            '        except KeyError:\n            raise Refused("invalid_request") from',
        ),
    ),
    mutant(
        "error-500-at-long-code",
        "B-SHAPE-5",
        "A code that is too long is an error of the program.",
        Change('raise Refused("invalid_request", 413)', "raise OverflowError"),
    ),
)
