"""What stands in a Markdown file but is not its text: front matter and template tags."""

from __future__ import annotations

import re

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)(?:\n|\A)(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_PAIR = re.compile(r"([A-Za-z_][\w-]*)[ \t]*:[ \t]+(\S.*)")
_COMMENT = re.compile(r"\{%-?\s*comment\s*-?%\}.*?\{%-?\s*endcomment\s*-?%\}", re.DOTALL)
_TARGET = re.compile(r"(\]\()\s*\{[%{][^}\n]*[%}]\}[^)\s]*(?=[\s)])")
_TAG = re.compile(r"\{%-?\s*[^}\n]*?-?%\}|^\s*\{:[^}\n]*\}\s*$", re.MULTILINE)
_ARGUMENT = re.compile(r"\{%-?\s*\w+\s+[\"']([^\"'\n]*)[\"']\s*-?%\}")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_KEPT = 40  # keys; a longer front matter is data


def split_front_matter(source: str) -> tuple[dict[str, str], str]:
    """The scalar `key: value` pairs at the top between --- lines, and the text after them."""
    found = _FRONT.match(source)
    if found is None:
        return {}, source
    pairs: dict[str, str] = {}
    for line in found.group(1).split("\n"):
        pair = _PAIR.fullmatch(line.rstrip())
        if pair and len(pairs) < _KEPT and pair.group(2)[0] not in "[{|>&*!":
            pairs[pair.group(1)] = pair.group(2).strip().strip("\"'")
    return pairs, source[found.end() :]


def drop_template_tags(source: str) -> str:
    """`source` without the tags of site generators (`{% ... %}`), fenced code excepted. An inline
    tag with one quoted argument leaves it: {% channel "help" %} reads help."""
    if "{%" not in source and "{:" not in source:
        return source
    lines, fence = [], ""
    for line in _COMMENT.sub("", source).split("\n"):
        mark = _FENCE.match(line)
        if mark:
            fence = "" if fence and mark.group(1).startswith(fence) else fence or mark.group(1)
        lines.append(line if fence else _without_tags(line))
    return "\n".join(lines)


def _without_tags(line: str) -> str:
    if "{%" not in line and "{:" not in line:
        return line
    if line.strip().startswith("{%") and _TAG.sub("", line).strip() == "":
        return ""  # a tag that stands alone directs the generator
    line = _TARGET.sub(r"\1#", line)
    return _TAG.sub("", _ARGUMENT.sub(r"\1", line))
