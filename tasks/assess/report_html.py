"""A report as one HTML page that needs nothing else: no scripts, nothing loaded from outside, readable on paper.

In: the report's Markdown, as tasks/assess/report.py keeps it. Out: HTML. Only the Markdown that reports are written in
is understood (headings, paragraphs, lists of two levels, tables, code spans, bold); all else is text, and everything is
escaped. The page's policy allows its own style sheet, by its digest, and nothing besides (CSP Level 3).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

from tasks.assess.html_style import STYLE
from tasks.assess.likelihood import WORDS

_POLICY: Final = "default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
_HEADING: Final = re.compile(r"(#{1,4}) (.*)")
_ITEM: Final = re.compile(r"( {4})?(?:-|(\d{1,4})\.) (.*)")
# A code span, bold, or a mark that was escaped: each alternative begins with another character, so that it is linear.
_SPAN: Final = re.compile(r"`([^`]*)`|\*\*([^*]+)\*\*|\\([\\`*_{}\[\]<>|#])")
_SCORE: Final = {word: place for place, word in enumerate(WORDS)}
_UNDECIDED: Final = "not enough evidence"
_SLUG: Final = re.compile(r"[^a-z0-9]+")


def page(markdown: str) -> str:
    """The page of a report."""
    blocks = list(_blocks(markdown.splitlines()))
    sections = [block for block in blocks if block.startswith("<h2")]
    contents = "".join(f"<li>{_link(section)}</li>" for section in sections)
    title = next((_HEADING.fullmatch(line) for line in markdown.splitlines() if line.startswith("# ")), None)
    named = escape(_plain(title[2])) if title else "Report"
    digest = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = _POLICY.format(digest=digest)
    head = "".join(block for block in blocks[: blocks.index(sections[0])]) if sections else "".join(blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{named}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f'<header>{head}</header>\n<nav aria-label="Contents"><ol>{contents}</ol></nav>\n<main>\n'
        + "\n".join(_sections(blocks[len(blocks) if not sections else blocks.index(sections[0]) :]))
        + "\n</main>\n<footer><p>Inferred is not known, and a claim is its source's. Leads are no identifications.</p>"
        "</footer>\n</body>\n</html>\n"
    )


def _sections(blocks: Sequence[str]) -> Iterator[str]:
    """Each heading of the second level with what belongs to it, as a section of its own."""
    opened = False
    for block in blocks:
        if block.startswith("<h2"):
            if opened:
                yield "</section>"
            name = block.partition('id="')[2].partition('"')[0]
            yield f'<section aria-labelledby="{name}">'
            opened = True
        yield block
    if opened:
        yield "</section>"


def _link(heading: str) -> str:
    name = heading.partition('id="')[2].partition('"')[0]
    return f'<a href="#{name}">{heading.partition(">")[2].rpartition("</h2>")[0]}</a>'


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    slugs: dict[str, int] = {}
    place = 0
    while place < len(lines):
        line = lines[place]
        end = place + 1
        if not line.strip():
            pass
        elif heading := _HEADING.fullmatch(line):
            yield _heading(heading, slugs)
        elif line.startswith("|"):
            end = _while(lines, place, lambda one: one.startswith("|"))
            yield _table(lines[place:end])
        elif _ITEM.fullmatch(line):
            end = _while(lines, place, lambda one: _ITEM.fullmatch(one) is not None)
            yield _list(lines[place:end])
        else:
            yield f"<p>{_inline(line)}</p>"
        place = end


def _while(lines: Sequence[str], place: int, holds: Callable[[str], bool]) -> int:
    end = place
    while end < len(lines) and holds(lines[end]):
        end += 1
    return end


def _heading(found: re.Match[str], slugs: dict[str, int]) -> str:
    level = len(found[1])
    slug = _SLUG.sub("-", _plain(found[2]).lower()).strip("-")[:60] or "part"
    slugs[slug] = slugs.get(slug, 0) + 1
    name = slug if slugs[slug] == 1 else f"{slug}-{slugs[slug]}"
    return f'<h{level} id="{name}">{_inline(found[2])}</h{level}>'


def _table(lines: Sequence[str]) -> str:
    head, *rows = [_cells(line) for line in lines if not line.startswith("| --")] or [[]]
    titles = "".join(f'<th scope="col">{_inline(cell)}</th>' for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td{_label(head, place)}>{_cell(cell)}</td>" for place, cell in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="Table">'
        f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(line: str) -> list[str]:
    """The cells of a row; a bar that belongs to a cell is escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _label(head: Sequence[str], place: int) -> str:
    return f' data-of="{escape(_plain(head[place]))}"' if place < len(head) and head[place] else ""


def _cell(cell: str) -> str:
    if cell in _SCORE:
        return f'<span class="odds o{_SCORE[cell]}">{escape(cell)}</span>'
    return f'<span class="odds none">{escape(cell)}</span>' if cell == _UNDECIDED else _inline(cell)


def _list(lines: Sequence[str]) -> str:
    """Items; those that are indented belong to the one before."""
    items: list[tuple[str, list[str]]] = []
    ordered = False
    for line in lines:
        found = _ITEM.fullmatch(line)
        if found is None:
            continue
        if found[1] and items:
            items[-1][1].append(_inline(found[3]))
        else:
            ordered = ordered or found[2] is not None
            items.append((_inline(found[3]), []))
    body = "".join(f"<li>{said}{_inner(below)}</li>" for said, below in items)
    return f"<ol>{body}</ol>" if ordered else f"<ul>{body}</ul>"


def _inner(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul>" if items else ""


def _inline(text: str) -> str:
    parts: list[str] = []
    end = 0
    for found in _SPAN.finditer(text):
        parts.append(escape(text[end : found.start()]))
        end = found.end()
        if found[1] is not None:
            parts.append(f"<code>{escape(found[1])}</code>")
        elif found[2] is not None:
            parts.append(f'<strong class="{_tone(found[2])}">{_inline(found[2])}</strong>')
        else:
            parts.append(escape(found[3]))
    return "".join([*parts, escape(text[end:])])


def _tone(text: str) -> str:
    return "lapse" if text == "Lapse" else "said"


def _plain(text: str) -> str:
    return _SPAN.sub(lambda found: found[1] or found[2] or found[3] or "", text)
