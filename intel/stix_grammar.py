"""The grammar of STIX patterns (STIX 2.1 section 9, and what OASIS publishes with it): text in, a tree out.

The tokenizer is one regular expression without nested repetition, the parser descends recursively to a fixed depth:
time grows with the length of the text and nothing else. Raises ReadError with the position of what is wrong.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import msgspec

from intel.errors import OversizedError, ReadError

MAX_DEPTH: Final = 64

Step = str | int
"""A property's name, an index, or `*` (as the string) for any index; a property named `*` is not told apart."""


class Comparison(msgspec.Struct, frozen=True):
    """`object_type:path operator values`. `values` has one member but for IN; a number stands as it was written.

    `operator` is `=`, `!=`, `<`, `<=`, `>`, `>=`, `IN`, `LIKE`, `MATCHES`, `ISSUBSET`, `ISSUPERSET` or `EXISTS`.
    """

    object_type: str
    path: tuple[Step, ...]
    operator: str
    values: tuple[str, ...]
    negated: bool = False

    @property
    def place(self) -> str:
        """The object path, as people write it: `file:hashes.SHA-256`."""
        return f"{self.object_type}:{'.'.join(str(step) for step in self.path)}"


# --- the tokens (STIX 2.1 section 9.1 and the grammar that OASIS publishes with it)

_TOKEN: Final = re.compile(
    r"""
    (?P<space>[ \t\r\n\x0b\x0c\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|//[^\r\n]*|/\*.*?\*/)
    |(?P<time>t'[0-9]{4}-(?:0[1-9]|1[012])-(?:0[1-9]|[12][0-9]|3[01])
        T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?Z')
    |(?P<hex>h'(?:[0-9a-fA-F]{2})*')
    |(?P<binary>b'(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?')
    |(?P<string>'(?:[^'\\]|\\['\\])*')
    |(?P<float>[+-]?[0-9]*\.[0-9]+)
    |(?P<integer>[+-]?(?:0|[1-9][0-9]*))
    |(?P<word>[A-Za-z_][A-Za-z0-9_-]*)
    |(?P<sign>==|=|!=|<>|<=|>=|<|>|[\[\]():.,*])
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS: Final = frozenset(
    {"AND", "OR", "NOT", "FOLLOWEDBY", "IN", "LIKE", "MATCHES", "ISSUPERSET", "ISSUBSET", "EXISTS", "LAST"}
    | {"START", "STOP", "SECONDS", "WITHIN", "REPEATS", "TIMES", "true", "false"}
)
_SIGNS: Final = {"==": "=", "=": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_TEXTUAL: Final = frozenset({"LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET"})
_LITERALS: Final = frozenset({"string", "integer", "float", "hex", "binary", "time"})


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found = []
    position, end = 0, len(text)
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ReadError(f"couldn't read a pattern: no token at character {position}; its indicator is rejected")
        kind = match.lastgroup or ""
        text_of = match[0]
        if kind == "sign" or (kind == "word" and text_of in _WORDS):
            kind = text_of  # the grammar's keywords are no names; each is a kind of its own
        if kind != "space":
            found.append(_Token(kind, text_of, position))
        position = match.end()
    found.append(_Token("end", "", end))
    return found


# --- the parser


class Node(NamedTuple):
    operator: str
    parts: tuple[Node | Comparison, ...]
    outer: bool  # joins observations, not comparisons within one


class Parser:
    """Recursive descent; every method eats what it is named for."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._next = 0
        self._depth = 0
        self.qualifiers: list[str] = []

    def pattern(self) -> Node | Comparison:
        tree = self._joined("FOLLOWEDBY", "OR", "AND", outer=True)
        self._eat("end")
        return tree

    def lone_path(self) -> tuple[str, tuple[Step, ...]]:
        path = self._path()
        self._eat("end")
        return path

    def _peek(self) -> str:
        return self._tokens[self._next].kind

    def _take(self) -> _Token:
        token = self._tokens[self._next]
        self._next += 1
        return token

    def _eat(self, *kinds: str) -> _Token:
        token = self._tokens[self._next]
        if token.kind not in kinds:
            found = "its end" if token.kind == "end" else f"{token.text[:20]!r}"
            raise ReadError(
                f"couldn't read a pattern: {found} at character {token.at}, where {' or '.join(kinds)} was expected;"
                " its indicator is rejected"
            )
        if token.kind != "end":
            self._next += 1
        return token

    def _may(self, kind: str) -> bool:
        if self._peek() != kind:
            return False
        self._next += 1
        return True

    def _joined(self, *operators: str, outer: bool) -> Node | Comparison:
        """Parts joined by the first operator, which binds weakest, each joined by the next."""
        if not operators:
            return self._observation() if outer else self._comparison()
        parts = [self._joined(*operators[1:], outer=outer)]
        while self._may(operators[0]):
            parts.append(self._joined(*operators[1:], outer=outer))
        return parts[0] if len(parts) == 1 else Node(operators[0], tuple(parts), outer)

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise OversizedError(
                f"couldn't read a pattern: parentheses deeper than {MAX_DEPTH}; its indicator is rejected"
            )

    def _observation(self) -> Node | Comparison:
        self._enter()
        if self._eat("[", "(").kind == "[":
            tree = self._joined("OR", "AND", outer=False)
            self._eat("]")
        else:
            tree = self._joined("FOLLOWEDBY", "OR", "AND", outer=True)
            self._eat(")")
        self._depth -= 1
        while self._peek() in {"WITHIN", "REPEATS", "START"}:
            self._qualifier()
        return tree

    def _qualifier(self) -> None:
        word = self._take().kind
        if word == "WITHIN":
            amount = self._eat("integer", "float")
            self._positive(amount)
            self._eat("SECONDS")
            text = f"WITHIN {amount.text} SECONDS"
        elif word == "REPEATS":
            amount = self._eat("integer")
            self._positive(amount)
            self._eat("TIMES")
            text = f"REPEATS {amount.text} TIMES"
        else:
            # STIX 2.0 wrote these times as plain strings.
            start = self._eat("time", "string").text
            self._eat("STOP")
            text = f"START {start} STOP {self._eat('time', 'string').text}"
        self.qualifiers.append(text)

    def _positive(self, token: _Token) -> None:
        if token.text.startswith("-"):
            raise ReadError(
                f"couldn't read a pattern: a negative number at character {token.at}; its indicator is rejected"
            )

    def _comparison(self) -> Node | Comparison:
        if self._may("("):
            self._enter()
            tree = self._joined("OR", "AND", outer=False)
            self._eat(")")
            self._depth -= 1
            return tree
        negated = self._may("NOT")
        if negated or self._peek() == "EXISTS":
            self._eat("EXISTS")
            return Comparison(*self._path(), "EXISTS", (), negated)
        object_type, path = self._path()
        negated = self._may("NOT")
        operator = self._eat(*_SIGNS, "IN", *_TEXTUAL).kind
        if operator == "IN":
            return Comparison(object_type, path, "IN", self._set(), negated)
        if operator in _TEXTUAL:
            return Comparison(object_type, path, operator, (_value(self._eat("string")),), negated)
        kinds = _LITERALS if operator in {"<", "<=", ">", ">="} else _LITERALS | {"true", "false"}
        return Comparison(object_type, path, _SIGNS[operator], (_value(self._eat(*sorted(kinds))),), negated)

    def _set(self) -> tuple[str, ...]:
        self._eat("(")
        values: list[str] = []
        while not self._may(")"):
            if values:
                self._eat(",")
            values.append(_value(self._eat(*sorted(_LITERALS), "true", "false")))
        return tuple(values)

    def _path(self) -> tuple[str, tuple[Step, ...]]:
        object_type = self._eat("word").text
        self._eat(":")
        steps: list[Step] = [self._name()]
        while True:
            if self._may("."):
                steps.append(self._name())
            elif self._may("["):
                token = self._eat("integer", "*")
                # No array of a document is longer than the document; `int` refuses digits without end.
                steps.append("*" if token.kind == "*" or len(token.text) > 20 else int(token.text))
                self._eat("]")
            else:
                return object_type, tuple(steps)

    def _name(self) -> str:
        token = self._eat("word", "string")
        if token.kind == "word" and "-" in token.text:
            raise ReadError(
                f"couldn't read a pattern: the property at character {token.at} has a hyphen and no quotes;"
                " its indicator is rejected"
            )
        return _value(token)


def _value(token: _Token) -> str:
    if token.kind == "string":
        inner = token.text[1:-1]
        return re.sub(r"\\(['\\])", r"\1", inner) if "\\" in inner else inner
    return token.text[2:-1] if token.kind in {"time", "hex", "binary"} else token.text
