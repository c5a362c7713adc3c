"""Reading filters: the subset of AIP-160 that the guide "models" documents."""

from __future__ import annotations

import re
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from autoisp_registry.filters.expression import And, Comparison, Expression, Not, Or, Text
from autoisp_registry.filters.fields import Fields
from autoisp_registry.filters.values import comparison, unquoted
from autoisp_registry.filters.words import words_of

MAX_CHARS, MAX_TERMS, MAX_DEPTH = 2_000, 50, 12
"""What one filter may have: it costs the database no more than that."""

_GRAMMAR = r"""
start: expression
expression: sequence (_AND sequence)*
sequence: factor+
factor: term (_OR term)*
term: simple | negation
negation: (_NOT | _MINUS) simple
?simple: restriction | _LPAR expression _RPAR
restriction: (FIELD | WORD) COMPARATOR value -> compared
           | (WORD | STRING | FIELD)         -> text
value: WORD | STRING | TIME | NEGATIVE

_AND.3: /AND(?=[\s()"'\-]|$)/
_OR.3: /OR(?=[\s()"'\-]|$)/
_NOT.3: /NOT(?=[\s()"'\-]|$)/
_LPAR: "("
_RPAR: ")"
_MINUS: "-"
COMPARATOR: "!=" | "<=" | ">=" | "=" | "<" | ">" | ":"
FIELD.2: /[a-z_]+\.("(\\.|[^"\\])*"|'(\\.|[^'\\])*')/s
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
TIME.2: /\d{4}-\d\d-\d\d[Tt][\d:.]+([Zz]|[+-]\d\d:\d\d)?/
NEGATIVE: /-[^\s()"'<>=!:]+/
WORD: /(?!(AND|OR|NOT)(?=[\s()"'\-]|$))[^\s()"'<>=!:\-][^\s()"'<>=!:]*/
%ignore /\s+/
"""

_BRACKET = re.compile(r"[()]")
_QUOTED = re.compile(r""" "(\\.|[^"\\])*" | '(\\.|[^'\\])*' """, re.VERBOSE | re.DOTALL)

_SAID = {
    "_AND": "AND",
    "_OR": "OR",
    "_NOT": "NOT",
    "_LPAR": "'('",
    "_RPAR": "')'",
    "COMPARATOR": "one of = != < <= > >= :",
    "WORD": "a word",
    "STRING": "a quoted text",
    "TIME": "a time",
    "$END": "the end",
}


def parse_filter(text: str, fields: Fields) -> Expression | None:
    """Read a filter; None if it is empty and lets everything through.

    Raises:
        InvalidArgumentError: of ``filter``, with the position and what was expected there.
    """
    if len(text) > MAX_CHARS:
        raise InvalidArgumentError(
            "filter", f"filter has {len(text)} characters; at most {MAX_CHARS} are taken"
        )
    if not text.strip():
        return None
    for position, character in enumerate(text):
        if character != "\t" and character != "\n" and not character.isprintable() and character < "\x80":
            raise InvalidArgumentError(
                "filter", f"filter has a control character at position {position + 1}; leave it out"
            )
    # Before the tree is built, which takes recursion.
    depth = 0
    for bracket in _BRACKET.findall(_QUOTED.sub("", text)):
        depth += 1 if bracket == "(" else -1
        if depth > MAX_DEPTH:
            raise _too_deep()
    try:
        tree = _PARSER.parse(text)
        expression: Expression = _Builder(fields).transform(tree)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidArgumentError):
            raise error.orig_exc from None
        raise
    _check_size(expression)
    return expression


class _Builder(Transformer[Token, Any]):
    """From lark's tree to ours."""

    def __init__(self, fields: Fields) -> None:
        super().__init__()
        self._fields = fields

    def start(self, children: list[Expression]) -> Expression:
        return children[0]

    def expression(self, children: list[Expression]) -> Expression:
        flat: list[Expression] = []
        for child in children:
            flat.extend(child.operands if isinstance(child, And) else (child,))
        return flat[0] if len(flat) == 1 else And(tuple(flat))

    sequence = expression

    def factor(self, children: list[Expression]) -> Expression:
        flat: list[Expression] = []
        for child in children:
            flat.extend(child.operands if isinstance(child, Or) else (child,))
        return flat[0] if len(flat) == 1 else Or(tuple(flat))

    def term(self, children: list[Expression]) -> Expression:
        return children[0]

    def negation(self, children: list[Expression]) -> Expression:
        inner = children[0]
        return inner.operand if isinstance(inner, Not) else Not(inner)

    def value(self, children: list[Token]) -> Token:
        return children[0]

    def compared(self, children: list[Token]) -> Comparison:
        name, operator, value = children
        return comparison(name, operator, value, self._fields)

    def text(self, children: list[Token]) -> Text:
        words = words_of(unquoted(children[0]))
        if not words:
            raise InvalidArgumentError(
                "filter",
                f"filter at position {_place(children[0])}: {children[0]} has no letter and no digit",
            )
        return Text(words)


def _check_size(expression: Expression) -> None:
    terms, level = 0, [expression]
    for _ in range(MAX_DEPTH):
        below: list[Expression] = []
        for node in level:
            match node:
                case And() | Or():
                    below.extend(node.operands)
                case Not():
                    below.append(node.operand)
                case _:
                    terms += 1
        if not below:
            break
        level = below
    else:
        raise _too_deep()
    if terms > MAX_TERMS:
        raise InvalidArgumentError("filter", f"filter has {terms} terms; at most {MAX_TERMS} are taken")


def _too_deep() -> InvalidArgumentError:
    return InvalidArgumentError("filter", f"filter is nested more than {MAX_DEPTH} deep; write it flatter")


def _unexpected(text: str, error: UnexpectedInput) -> InvalidArgumentError:
    token = getattr(error, "token", None)
    at_end = token is not None and token.type == "$END"
    position = len(text) if at_end else (error.pos_in_stream or 0)
    found = "it ends" if at_end else f"there is {text[position : position + 20]!r}"
    # The parser says what it expected, the lexer what it allowed.
    names = getattr(error, "expected", None) or getattr(error, "allowed", None) or ()
    expected = ", ".join(dict.fromkeys(_SAID[name] for name in sorted(names) if name in _SAID))
    return InvalidArgumentError(
        "filter",
        f"filter at position {position + 1}: {found}, where {expected or 'something else'} was expected",
        metadata={"position": str(position + 1)},
    )


def _place(token: Token) -> int:
    return (token.start_pos or 0) + 1


_PARSER = Lark(_GRAMMAR, parser="lalr", lexer="contextual", maybe_placeholders=False)
