"""Read a command line as cmd.exe does, into the tree of `syntax`.

The line comes with its `%NAME%` already expanded (`expansion`), since cmd does that before it looks for operators.
Precedence, lowest first: `&` and line breaks, `||`, `&&`, `|`, redirections. `^` makes the next character
ordinary, double quotes make everything up to the next one ordinary. `)` is special inside a block only.
"""

import re

from homeport.windows.cmd.syntax import (
    AndThen,
    Block,
    CommandSyntaxError,
    Comparison,
    Condition,
    Defined,
    ErrorLevelAtLeast,
    Exists,
    For,
    ForKind,
    If,
    Node,
    OrElse,
    Pipe,
    Redirection,
    RedirectionKind,
    Remark,
    Sequence,
    Simple,
)

_BLANKS = " \t,;="
_KEYWORD = re.compile(r"(if|for|rem)(?=[\s,;=/(]|$)", re.IGNORECASE)
_VARIABLE = re.compile(r"%{1,2}([^\s%&|<>()^\"])(?=\s)")
_OPERATORS = ("equ", "neq", "lss", "leq", "gtr", "geq")
_OPERATOR = re.compile(r"&&|\|\||[&|<>()]")
_DEPTH = 100
_INCORRECT = "The syntax of the command is incorrect."
_UNCLOSED = "A ')' is missing."


def parse(line: str) -> Node | None:
    """Parse one line (or several, separated by line breaks); None when there is nothing to do.

    Raises `CommandSyntaxError`, whose message shows the line with a caret.
    """
    return _Parser(line).whole()


class _Parser:
    def __init__(self, line: str) -> None:
        self._line = line.replace("\r\n", "\n")
        self._at = 0
        self._depth = 0  # of blocks
        self._nesting = 0  # of everything, to refuse what would exhaust the stack

    def whole(self) -> Node | None:
        self._skip(_BLANKS + "\n")
        if self._ended():
            return None
        node = self._sequence(lines=True)
        if not self._ended():
            raise self._unexpected()
        return node

    # Operators, lowest precedence first

    def _sequence(self, *, lines: bool) -> Node:
        self._nest()
        items = [self._either()]
        while self._separator(lines=lines):
            if self._ended() or self._closes():
                break
            items.append(self._either())
        self._nesting -= 1
        return items[0] if len(items) == 1 else Sequence(items=tuple(items))

    def _nest(self) -> None:
        """Count what makes the tree deeper; chains of `&&` and `||` do."""
        self._nesting += 1
        if self._nesting > _DEPTH:
            raise self._error("The command is nested too deeply.")

    def _separator(self, *, lines: bool) -> bool:
        self._skip(_BLANKS)
        if self._take("&"):
            self._skip(_BLANKS + ("\n" if lines else ""))
            return True
        if lines and self._take("\n"):
            self._skip(_BLANKS + "\n")
            return True
        return False

    def _either(self) -> Node:
        node = self._both()
        while self._take_operator("||"):
            self._nest()
            node = OrElse(first=node, second=self._both())
        return node

    def _both(self) -> Node:
        node = self._pipe()
        while self._take_operator("&&"):
            self._nest()
            node = AndThen(first=node, second=self._pipe())
        return node

    def _pipe(self) -> Node:
        stages = [self._element()]
        while self._take_operator("|"):
            stages.append(self._element())
        return stages[0] if len(stages) == 1 else Pipe(stages=tuple(stages))

    # Commands

    def _element(self) -> Node:
        self._skip(_BLANKS + "@")
        if self._ended() or self._operator() in {"&", "&&", "|", "||"} or self._peek() == "\n":
            raise self._unexpected()
        if self._closes():
            raise self._unexpected()
        if self._peek() == ":":
            self._rest_of_line()
            return Remark()
        if self._peek() == "(":
            return self._block()
        if keyword := _KEYWORD.match(self._line, self._at):
            return self._keyword(keyword)
        return self._simple()

    def _keyword(self, match: re.Match[str]) -> Node:
        self._at = match.end()
        match match[1].lower():
            case "rem":
                self._rest_of_line()
                return Remark()
            case "if":
                return self._if()
            case _:
                return self._for()

    def _block(self) -> Node:
        self._at += 1
        self._depth += 1
        self._skip(_BLANKS + "\n")
        body = self._sequence(lines=True)
        if not self._take(")"):
            raise self._error(_UNCLOSED, incomplete=True)
        self._depth -= 1
        return Block(body=body, redirections=self._trailing_redirections())

    def _trailing_redirections(self) -> tuple[Redirection, ...]:
        found: list[Redirection] = []
        while match := re.compile(r"[ \t]*(\d?)(?=[<>])").match(self._line, self._at):
            self._at = match.end()
            found.append(self._redirection(match[1]))
        return tuple(found)

    def _simple(self) -> Simple:
        text = ""
        redirections: list[Redirection] = []
        while not self._ended() and self._peek() not in "&|\n" and not self._closes():
            character = self._peek()
            if character == '"':
                text += self._quoted()
            elif character == "^":
                text += self._escaped()
            elif character in "<>":
                text, handle = _cut_handle(text)
                redirections.append(self._redirection(handle))
            else:
                text += character
                self._at += 1
        return Simple(text=text, redirections=tuple(redirections))

    def _redirection(self, handle: str) -> Redirection:
        kind = RedirectionKind(self._line[self._at : self._at + 2] if self._looks(">>") else self._peek())
        self._at += len(kind)
        number = int(handle) if handle else int(kind is not RedirectionKind.READ)
        if self._take("&"):
            digit = self._peek()
            if not digit.isdecimal():
                raise self._error(_INCORRECT)
            self._at += 1
            return Redirection(kind=RedirectionKind.DUPLICATE, handle=number, target=digit)
        self._skip(" \t")
        target = self._word(stops=" \t\n,;=&|<>").replace('"', "")
        if not target:
            raise self._error(_INCORRECT)
        return Redirection(kind=kind, handle=number, target=target)

    # if and for

    def _if(self) -> If:
        ignore_case = negated = False
        while True:
            self._skip(_BLANKS)
            if self._take_word("/i"):
                ignore_case = True
            elif self._take_word("not"):
                negated = not negated
            else:
                break
        condition = self._condition(ignore_case=ignore_case)
        then = self._body()
        self._skip(_BLANKS)
        otherwise = self._body() if self._take_word("else") else None
        return If(condition=condition, negated=negated, then=then, otherwise=otherwise)

    def _condition(self, *, ignore_case: bool) -> Condition:
        if self._take_word("exist"):
            return Exists(path=self._operand())
        if self._take_word("defined"):
            return Defined(name=self._operand())
        if self._take_word("errorlevel"):
            level = self._operand()
            if not re.fullmatch(r"-?\d+", level):
                raise self._error(_INCORRECT)
            return ErrorLevelAtLeast(level=int(level))
        left = self._operand()
        self._skip(" \t")
        if self._take("=="):
            operator = "=="
        else:
            operator = next((word for word in _OPERATORS if self._take_word(word)), "")
        if not operator:
            raise self._unexpected()
        return Comparison(left=left, operator=operator, right=self._operand(), ignore_case=ignore_case)

    def _operand(self) -> str:
        self._skip(_BLANKS)
        operand = self._word(stops=" \t\n=&|<>,;")
        if not operand:
            raise self._unexpected()
        return operand

    def _body(self) -> Node:
        """Read what `if` and `for` govern: the rest of the line, over `&` too."""
        self._skip(_BLANKS)
        return self._sequence(lines=False)

    def _for(self) -> For:
        kind, option = self._for_kind()
        self._skip(_BLANKS)
        variable = _VARIABLE.match(self._line, self._at)
        if variable is None:
            raise self._unexpected()
        self._at = variable.end()
        self._expect_word("in")
        self._skip(_BLANKS)
        source = self._parenthesised()
        self._expect_word("do")
        return For(kind=kind, option=option, variable=variable[1], source=source, body=self._body())

    def _for_kind(self) -> tuple[ForKind, str]:
        self._skip(_BLANKS)
        for kind in ForKind:
            if kind and self._take_word(kind):
                self._skip(_BLANKS)
                option = "" if self._peek() == "%" else self._word(stops=" \t\n")
                return kind, option.strip('"')
        return ForKind.ITEMS, ""

    def _parenthesised(self) -> str:
        if not self._take("("):
            raise self._unexpected()
        start, quote, depth = self._at, "", 0
        while not self._ended():
            character = self._peek()
            if quote:
                quote = "" if character == quote else quote
            elif character in "\"'`":
                quote = character
            elif character == ")" and depth == 0:
                self._at += 1
                return self._line[start : self._at - 1].strip()
            else:
                depth += (character == "(") - (character == ")")
            self._at += 1
        raise self._error(_UNCLOSED, incomplete=True)

    # Characters

    def _ended(self) -> bool:
        return self._at >= len(self._line)

    def _peek(self) -> str:
        return self._line[self._at : self._at + 1]

    def _looks(self, text: str) -> bool:
        return self._line.startswith(text, self._at)

    def _closes(self) -> bool:
        return self._depth > 0 and self._peek() == ")"

    def _operator(self) -> str:
        match = _OPERATOR.match(self._line, self._at)
        return match[0] if match else ""

    def _skip(self, characters: str) -> None:
        while not self._ended() and self._peek() in characters:
            self._at += 1

    def _take(self, text: str) -> bool:
        if not self._looks(text) or (text == "&" and self._operator() != "&"):
            return False
        self._at += len(text)
        return True

    def _take_operator(self, operator: str) -> bool:
        self._skip(" \t")
        return self._operator() == operator and self._take(operator)

    def _take_word(self, word: str) -> bool:
        end = self._at + len(word)
        after = self._line[end : end + 1]
        if self._line[self._at : end].lower() != word or (after and after not in " \t\n(,;=%"):
            return False
        self._at = end
        return True

    def _expect_word(self, word: str) -> None:
        self._skip(_BLANKS)
        if not self._take_word(word):
            raise self._unexpected()

    def _word(self, *, stops: str) -> str:
        text = ""
        while not self._ended() and self._peek() not in stops and not self._closes():
            if self._peek() == '"':
                text += self._quoted()
            elif self._peek() == "^":
                text += self._escaped()
            else:
                text += self._peek()
                self._at += 1
        return text

    def _quoted(self) -> str:
        """Take from a double quote to the next one or the end of the line."""
        match = re.compile(r'"[^"\n]*"?').match(self._line, self._at)
        assert match is not None
        self._at = match.end()
        return match[0]

    def _escaped(self) -> str:
        """Take `^` and what follows: a line break vanishes, anything else is ordinary."""
        following = self._line[self._at + 1 : self._at + 2]
        self._at += 1 + len(following)
        return "" if following == "\n" else following

    def _rest_of_line(self) -> None:
        end = self._line.find("\n", self._at)
        self._at = len(self._line) if end < 0 else end

    # Errors

    def _error(self, message: str, *, incomplete: bool = False) -> CommandSyntaxError:
        """Point at the present place, in its own line where there are several."""
        start = self._line.rfind("\n", 0, self._at) + 1
        line = self._line[start:].split("\n", 1)[0]
        column = min(self._at - start, len(line)) + 1
        return CommandSyntaxError(message, line=line, column=column, incomplete=incomplete and self._ended())

    def _unexpected(self) -> CommandSyntaxError:
        if self._ended() and self._depth > 0:
            return self._error(_UNCLOSED, incomplete=True)
        match = re.compile(r"&&|\|\||[&|<>()]|[^\s&|<>()]+").match(self._line, self._at)
        return self._error(f"{match[0]} was unexpected at this time." if match else _INCORRECT)


def _cut_handle(text: str) -> tuple[str, str]:
    """Take the digit off that stands directly before a redirection and after a blank."""
    if re.search(r"(?:^|[ \t,;=(])\d$", text):
        return text[:-1], text[-1]
    return text, ""
