"""The layouts in which a clause may stand, one reading for all of them.

A list item `- **Label:** value` of any kind of list, a row of a table of two columns, a line
`Label: value`, and a heading with the value below it are each a clause. A document may mix them.
What stands among clauses and is none is a fault, for nobody would read it.
"""

from collections.abc import Iterator

from markdown_it.tree import SyntaxTreeNode

from contract_checks.language import tables
from contract_checks.language.blocks import (
    LISTS,
    Draft,
    Open,
    clauses_of_lines,
    heading_of_a_list,
    items_of,
    line_of,
    text_of_node,
    with_items,
)
from contract_checks.language.feature_tables import joined
from contract_checks.language.form import TITLES
from contract_checks.language.groups import ungrouped, with_items_after
from contract_checks.language.marks import bold_line, labelled, plain, unbroken
from contract_checks.language.naming import (
    clause_of,
    clauses_of,
    is_title,
    nearly_a_label,
    section_of,
    with_dash,
)
from contract_checks.language.outline import NOTES, Bullet, Document, Fault, Section
from contract_checks.language.revisions import revision, without_comments
from contract_checks.language.sentence import quote


class Outlining:
    """One pass over a document's blocks."""

    def __init__(self, lines: list[str]) -> None:
        """The document's lines, from which tables and paragraphs are read as they are typed."""
        self._lines = lines
        self._title, self._title_line = "", 1
        self._before = Draft("", "", 1, 0)
        self._drafts: list[Draft] = []
        self._faults: list[Fault] = []
        self._open: Open | None = None
        self._notes: list[str] = []

    def take(self, node: SyntaxTreeNode) -> None:
        """Read the next block."""
        if node.type == "heading":
            self._heading(text_of_node(node), line_of(node), int(node.tag[1]))
        elif (self._current.number, self._current.title) == NOTES:
            start, end = node.map or (0, 0)
            self._notes.append("\n".join(self._lines[start:end]).strip())
        elif node.type == "hr":
            return
        elif heading := heading_of_a_list(node):
            self._heading(heading, line_of(node), 6)
        elif node.type == "paragraph":
            self._paragraph(node)
        elif self._open:
            self._below(node, self._open)
        elif node.type in LISTS:
            self._put(items_of(node))
        elif node.type == "table":
            self._table(node)
        else:
            self._current.aside.append((line_of(node), text_of_node(node), []))

    def document(self) -> Document:
        """The outline of all that was taken."""
        self._close()
        between = [text for draft in (self._before, *self._drafts) for text in self._settle(draft)]
        sections = (
            Section(d.number, d.title, d.line, tuple(sorted(joined(d.bullets), key=_line)))
            for d in self._drafts
        )
        last_line = "\n".join(self._lines).rstrip().count("\n") + 1
        return Document(
            self._title,
            self._title_line,
            tuple(sections),
            tuple(self._before.bullets),
            tuple(between),
            tuple(self._faults),
            last_line,
            "\n\n".join(self._notes),
        )

    @property
    def _current(self) -> Draft:
        return self._drafts[-1] if self._drafts else self._before

    def _heading(self, text: str, line: int, level: int) -> None:
        self._close()
        heading, draft = plain(text), self._current
        label, value = labelled(text)
        if level == 1 and not (self._title or self._drafts or is_title(heading)):
            self._title, self._title_line = text, line
        elif level > draft.level and clause_of(draft.number, plain(label)):
            self._open = Open(plain(label), line, to_next_heading=True, values=[value])
        else:
            self._drafts.append(Draft(*section_of(heading), line, level))

    def _close(self) -> None:
        if self._open:
            bullet, self._open = self._open.closed(), None
            self._put([bullet])

    def _put(self, bullets: list[Bullet]) -> None:
        """Clauses into the current section, or into the subsection that has them in the form."""
        draft = self._current
        dashed = [with_dash(draft.number, bullet) for bullet in bullets]
        clauses = with_items_after(draft.number, [*ungrouped(draft.number, dashed)])
        for bullet in clauses:
            clause = clause_of(draft.number, bullet.label)
            home = draft if clause is None else self._subsection(clause.section, bullet.line)
            holds_items = clause is not None and bool(clause.entry or clause.group)
            home.bullets.append(with_items(bullet) if holds_items else bullet)

    def _subsection(self, number: str, line: int) -> Draft:
        draft = self._current
        if number == draft.number:
            return draft
        for other in self._drafts:
            if other.number == number:
                return other
        implied = Draft(number, TITLES[number], line, draft.level)
        self._drafts.insert(-1, implied)
        return implied

    def _below(self, node: SyntaxTreeNode, opened: Open) -> None:
        """A block that belongs to the label above it."""
        if node.type in LISTS:
            opened.items.extend(items_of(node))
        elif node.type == "table":
            self._rows(node, opened.items)
        else:
            opened.values.append(text_of_node(node))
        if not opened.to_next_heading:
            self._close()

    def _table(self, node: SyntaxTreeNode) -> None:
        draft, line = self._current, line_of(node)
        if not self._drafts:
            message = "a table stands before section 1: move its rows to their sections"
            self._faults.append(Fault(line, "", message))
        elif clauses_of(draft.number):
            draft.tables.append(line)
            bullets: list[Bullet] = []
            self._rows(node, bullets)
            self._put(bullets)
        else:
            draft.aside.append((line, text_of_node(node), []))

    def _rows(self, node: SyntaxTreeNode, bullets: list[Bullet]) -> None:
        number = self._current.number
        is_item = self._open is not None
        read, faults = tables.read(self._lines, node.map or (0, 0), number, is_item=is_item)
        bullets.extend(read)
        self._faults.extend(faults)

    def _paragraph(self, node: SyntaxTreeNode) -> None:
        start, end = node.map or (0, 0)
        lines = self._lines[start:end]
        draft, heading = self._current, bold_line(unbroken(lines[0])) if len(lines) == 1 else ""
        lead, bullets = clauses_of_lines(lines, start + 1)
        known = [b for b in bullets if nearly_a_label(draft.number, b.label)]
        if heading and (is_title(heading) or clause_of(draft.number, heading)):
            self._heading(heading, start + 1, draft.level if is_title(heading) else 7)
        elif known and not (self._open and clause_of(draft.number, self._open.label) is None):
            self._line_clauses(lead, bullets)
        elif self._open:
            self._below(node, self._open)
        elif lines[0].lstrip().startswith("|"):
            message = f"{quote(lines[0])} is no table: it needs '| --- | --- |' below its header"
            self._faults.append(Fault(start + 1, draft.number, message))
        else:
            draft.aside.append((start + 1, text_of_node(node), [] if lead else bullets))

    def _line_clauses(self, lead: str, bullets: list[Bullet]) -> None:
        draft, opened, first = self._current, self._open, bullets[0].line
        clause = clause_of(draft.number, opened.label) if opened else None
        if opened and clause and clause.group and not opened.values[1:]:
            opened.items.extend(bullets)
            return
        self._close()
        draft.has_lines = True
        if lead:
            message = f"{quote(lead)} runs into the clause below it: put an empty line between"
            self._faults.append(Fault(first, draft.number, message))
        if not (bullets[-1].value or bullets[-1].items):
            *bullets, last = bullets
            self._open = Open(last.label, last.line, to_next_heading=False)
        self._put(bullets)

    def _settle(self, draft: Draft) -> Iterator[tuple[int, str]]:
        """What to do with the text beside the clauses, now that all of the section is known."""
        for line, text, bullets in draft.aside:
            if bullets and draft.has_lines:
                draft.bullets.extend(bullets)
            elif draft.has_clauses_above(line) and _is_said(text):
                message = (
                    f"{quote(text)} stands below clauses and is read by nobody: make it part of"
                    " one, or move it above the first of its section"
                )
                self._faults.append(Fault(line, draft.number, message))
            else:
                yield line, text


def _line(bullet: Bullet) -> int:
    return bullet.line


def _is_said(text: str) -> bool:
    """Whether a text says something; a comment does not, and a mark of a revision has a message."""
    shown = without_comments(text).strip()
    return bool(shown) and not revision(shown)
