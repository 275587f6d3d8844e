"""Puts the text of a script together with its includes, so that a call pays only for what it uses.

Redis runs the whole text at every call. A local variable that functions use must be caught anew by each of
them, and each function be made anew: for a short script that took half of its time. Therefore keys, fields
of records and constants are written out in place of their names, and the functions of an include are made
when the first of them is called. Lua also allows 200 local variables, and no more.
"""

import re
from collections.abc import Mapping, Sequence

#: A constant of a script: nothing but a number or a text.
_CONSTANT = re.compile(r"^local ([A-Z][A-Z_]+) = ('[^']*'|[\d.]+)(?: --.*)?$", flags=re.MULTILINE)
#: A function at the top of a file, and the whole of it once its name has become a field of F.
_FUNCTION = re.compile(r"^local function (\w+)", flags=re.MULTILINE)
_WHOLE_FUNCTION = re.compile(r"^function F\.(?:[^\n]* end$|.*?^end$)", flags=re.MULTILINE | re.DOTALL)
#: A text, which stays as it is, or a name that is no field of something.
_TEXT_OR_NAME = re.compile(r"'(?:[^'\\]|\\.)*'|(?<![.\w])[A-Za-z_]\w*")


def put_together(head: Sequence[str], includes: Sequence[str], text: str, names: Mapping[str, str]) -> str:
    """The whole script: `head`, what the includes say outside of functions, their functions, `text`.

    `names` are written out; so are constants (`local NAME = 1`), also those of other includes.
    """
    written = dict(names)
    for part in (*includes, text):
        written |= _CONSTANT.findall(part)
        if part is not text:
            written |= {function: f"F.{function}" for function in _FUNCTION.findall(part)}
    parts = [_write_out(part, written) for part in includes]
    groups = [functions for part in parts if (functions := _WHOLE_FUNCTION.findall(part))]
    outside = [_WHOLE_FUNCTION.sub("", part) for part in parts]
    lines = [*head, *outside, *_made_when_called(groups), _write_out(text, written)]
    return "\n".join(line for line in "\n".join(lines).splitlines() if line.strip())


def _write_out(source: str, names: Mapping[str, str]) -> str:
    lines = (line for line in _CONSTANT.sub("", source).splitlines() if not line.lstrip().startswith("--"))
    code = _TEXT_OR_NAME.sub(lambda found: names.get(found[0], found[0]), "\n".join(lines))
    return code.replace("local function F.", "function F.")


def _made_when_called(groups: Sequence[Sequence[str]]) -> list[str]:
    """A table F whose functions are made group by group, in the order of the includes, until one is found."""
    if not groups:
        return []
    lines = ["local made, make, F = 0, nil, nil", "local function makers() return {"]
    for functions in groups:
        lines += ["function()", *functions, "end,"]
    return [
        *lines,
        "} end",
        "F = setmetatable({}, { __index = function(F, name)",
        "make = make or makers()",
        "while made < #make do",
        "made = made + 1",
        "make[made]()",
        "local found = rawget(F, name)",
        "if found then return found end",
        "end",
        "end })",
    ]
