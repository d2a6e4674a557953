"""SQL scripts taken apart into statements, as the tools of Oracle, PostgreSQL and SQLite do.

A semicolon ends a statement, except in quotes, comments and parentheses, and inside a program: a block of PL/SQL, or
the body of a trigger, function, procedure or package. A program ends with the END of its outermost block. A line with
nothing but `/` ends whatever comes before it, as in SQL*Plus; a CREATE of a program reaches to that line where there is
one.

sqlparse is not used: it ends a block at the semicolon of its DECLARE section, and knows no q-quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from anonymisation.database.client_commands import Effect, command_of

_TOKEN: Final = re.compile(
    r"""
    (?P<slash>^[ \t]*/[ \t]*(?=\r?$))
    | (?P<comment>--[^\n]*|/\*.*?\*/|/\*.*)
    | (?P<quoted>
        (?<![\w$\#])[nN]?[qQ]'(?:\[.*?\]|\{.*?\}|\(.*?\)|<.*?>|(?P<mark>[^\s'\[{(<]).*?(?P=mark))'
        | (?<![\w$\#])[eE]'(?:[^'\\]|\\.|'')*'
        | '(?:[^']|'')*'
        | "(?:[^"]|"")*"
        | `[^`]*`
        | (?<![\w$\#])\$\$.*?\$\$
        | (?<![\w$\#])\$(?P<tag>[A-Za-z_]\w*)\$.*?\$(?P=tag)\$
        | ['"].*
      )
    | (?P<label><<\s*\w+\s*>>)
    | (?P<word>[^\W\d][\w$\#]*)
    | (?P<end>;)
    | (?P<other>\S)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
# Words after BEGIN that begin a transaction and no block.
_TRANSACTION: Final = frozenset(
    ("TRANSACTION", "TRAN", "WORK", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "ISOLATION", "READ", "NOT", "CONCURRENT")
)
_CURSOR_WORDS: Final = frozenset(("BINARY", "INSENSITIVE", "ASENSITIVE", "NO", "SCROLL"))  # DECLARE name … CURSOR
_CREATE_WORDS: Final = frozenset(
    ("OR", "REPLACE", "EDITIONABLE", "NONEDITIONABLE", "TEMP", "TEMPORARY", "CONSTRAINT", "IF", "NOT", "EXISTS")
)
_PROGRAMS: Final = frozenset(("TRIGGER", "PROCEDURE", "FUNCTION", "PACKAGE", "TYPE"))
_HEADERS: Final = frozenset(("PROCEDURE", "FUNCTION", "PACKAGE"))  # with IS or AS behind them, a body follows
_NO_BODY: Final = frozenset(("LANGUAGE", "EXTERNAL", "OBJECT", "TABLE", "VARRAY", "ENUM", "RANGE", "NEW"))
_QUALIFIES: Final = frozenset(".:@&")  # a name behind one of these is no keyword
_LOOKED_AT: Final = 8  # tokens at the beginning of a statement that say what it is
_NOT_OF_A_BLOCK: Final = frozenset(("IF", "LOOP", "WHILE", "FOR", "REPEAT"))  # behind END


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    start: int
    stop: int


@dataclass(slots=True)
class _Program:
    """The blocks that are open in a program, as one entry each: whether the block still waits for its BEGIN."""

    blocks: list[bool] = field(default_factory=list)
    keeps_semicolon: bool = True
    had_blocks: bool = False
    header: bool = False

    @property
    def ends_with_semicolon(self) -> bool:
        """Whether the last semicolon belongs to the statement."""
        return self.had_blocks and self.keeps_semicolon

    def take(self, word: str, before: str, after: _Token | None) -> None:
        """Follow one word; `before` is the word before it, `after` the token behind it that is no comment."""
        following = "" if after is None else after.text.upper()
        match word:
            case "BEGIN" if self.blocks and self.blocks[-1]:
                self.blocks[-1] = False
            case "BEGIN" | "COMPOUND":
                self._open(waiting=False)
            case "CASE" if before != "END":
                self._open(waiting=False)
            case "DECLARE":
                self._open(waiting=True)
            case "END" if following not in _NOT_OF_A_BLOCK and self.blocks:
                self.blocks.pop()
            case "IS" | "AS" if self.header:
                self.header = False
                if following not in _NO_BODY and (after is None or after.kind != "quoted"):
                    self._open(waiting=True)
            case _:
                self.header = self.header or _is_header(word, before, following)

    def _open(self, *, waiting: bool) -> None:
        self.blocks.append(waiting)
        self.had_blocks = True


def _is_header(word: str, before: str, following: str) -> bool:
    """Whether a body follows behind the next IS or AS: of a program, or of a section of a compound trigger."""
    return (
        word in _HEADERS or (word, before) == ("BODY", "TYPE") or (word in {"ROW", "STATEMENT"} and following == "IS")
    )


@dataclass(frozen=True, slots=True)
class Script:
    """The statements of a script, and the names of the client's commands in it that were skipped, each once."""

    statements: tuple[str, ...]
    skipped: tuple[str, ...] = ()


def split_statements(script: str) -> list[str]:
    """The statements of a script; see `read_script`."""
    return list(read_script(script).statements)


def read_script(script: str) -> Script:
    """The statements of a script, without the semicolons that end them and the comments behind them.

    A program keeps the semicolon of its last END, which belongs to it. Commands of SQL*Plus and psql, at the beginning
    of a line between statements, are skipped where they concern the output alone. EXIT and QUIT end the script.

    Raises:
        ValueError: another such command is there; the message names it and its line.
    """
    tokens = _tokens(script, 0)
    statements: list[str] = []
    skipped: dict[str, None] = {}
    first = 0
    last_slash = _last_slash(tokens)
    while first < len(tokens):
        start = next((at for at in range(first, len(tokens)) if tokens[at].kind != "comment"), len(tokens))
        command = _command(script, tokens[start].start) if start < len(tokens) else None
        if command is not None:
            name, effect, stop = command
            if effect is Effect.END:
                break
            skipped[name] = None
            following = next((at for at in range(start, len(tokens)) if tokens[at].stop > stop), len(tokens))
            if following < len(tokens) and tokens[following].start < stop:  # a quote that opens in the command
                tokens = [*tokens[:start], *_tokens(script, stop)]
                following, last_slash = start, _last_slash(tokens)
            first = following
            continue
        stop, following = _end_of(script, tokens, first, slash_follows=last_slash > first)
        while stop > first and tokens[stop - 1].kind == "comment":
            stop -= 1
        if stop > first:
            statements.append(script[tokens[first].start : tokens[stop - 1].stop])
        first = following
    return Script(tuple(statements), tuple(skipped))


def _tokens(script: str, start: int) -> list[_Token]:
    return [_Token(str(found.lastgroup), found[0], *found.span()) for found in _TOKEN.finditer(script, start)]


def _last_slash(tokens: Sequence[_Token]) -> int:
    return max((index for index, token in enumerate(tokens) if token.kind == "slash"), default=-1)


def _command(script: str, start: int) -> tuple[str, Effect, int] | None:
    """The command of a client that begins there: its name, its effect, and the end of its last line."""
    if script[script.rfind("\n", 0, start) + 1 : start].strip():
        return None
    stop = _line_end(script, start)
    found = command_of(script[start:stop])
    if found is None:
        return None
    name, effect = found
    if effect is Effect.REFUSED:
        line = script.count("\n", 0, start) + 1
        raise ValueError(
            f"line {line}: {name} is a command of SQL*Plus or psql, not SQL, and changes what the script does; "
            "remove it, or run the script with that program"
        )
    while script[start:stop].rstrip("\r").endswith("-") and stop < len(script):  # SQL*Plus continues the line
        stop = _line_end(script, stop + 1)
    return name, effect, stop


def _line_end(script: str, start: int) -> int:
    stop = script.find("\n", start)
    return len(script) if stop < 0 else stop


def _end_of(script: str, tokens: Sequence[_Token], first: int, *, slash_follows: bool) -> tuple[int, int]:
    """The statement that begins with the token `first`: the index behind its last token, and where the next begins."""
    kind = _kind(tokens, first)
    to_slash = kind == "query" or (kind == "create" and slash_follows)
    # A query ends without one: that of its functions' END stands in the middle.
    program, before, parentheses = _Program(keeps_semicolon=kind != "query"), "", 0
    for index in range(first, len(tokens)):
        token = tokens[index]
        if token.kind == "slash":
            return _without_semicolon(tokens, first, index, program), index + 1
        if token.kind == "end":
            program.header = False
            if not to_slash and not program.blocks and parentheses <= 0:
                return (index + 1 if program.had_blocks else index), index + 1
        elif token.kind == "word" and kind != "plain" and script[token.start - 1 : token.start] not in _QUALIFIES:
            behind = (tokens[place] for place in range(index + 1, len(tokens)))
            program.take(token.text.upper(), before, next((item for item in behind if item.kind != "comment"), None))
        parentheses += {"(": 1, ")": -1}.get(token.text, 0)
        before = token.text.upper() if token.kind == "word" else ""
    return _without_semicolon(tokens, first, len(tokens), program), len(tokens)


def _without_semicolon(tokens: Sequence[_Token], first: int, stop: int, program: _Program) -> int:
    """`stop` without a last semicolon and the comments around it, unless it belongs to a program."""
    while stop > first and (
        tokens[stop - 1].kind == "comment" or (tokens[stop - 1].kind == "end" and not program.ends_with_semicolon)
    ):
        stop -= 1
    return stop


def _kind(tokens: Sequence[_Token], first: int) -> str:
    """`block` of PL/SQL, `create` of a program, `query` with functions of its own, or `plain`."""
    found = (tokens[index] for index in range(first, len(tokens)) if tokens[index].kind not in {"comment", "label"})
    words = ["" if token.kind != "word" else token.text.upper() for token in islice(found, _LOOKED_AT)]
    words += [""] * (_LOOKED_AT - len(words))
    match words[0]:
        case "BEGIN":
            return "block" if words[1] and words[1] not in _TRANSACTION else "plain"
        case "DECLARE":
            rest = [word for word in words[2:] if word not in _CURSOR_WORDS]
            return "plain" if rest[:1] == ["CURSOR"] else "block"
        case "CREATE":
            named = next((word for word in words[1:] if word not in _CREATE_WORDS), "")
            return "create" if named in _PROGRAMS else "plain"
        case "WITH":
            return "query" if words[1] in _HEADERS else "plain"
    return "plain"
