"""Blocks of Markdown as clauses, and what of a section is still being read."""

from dataclasses import dataclass, field, replace

from markdown_it.tree import SyntaxTreeNode

from contract_checks.language.marks import label_of_line, labelled, unbroken
from contract_checks.language.naming import is_title
from contract_checks.language.outline import Bullet

LISTS = ("bullet_list", "ordered_list")


@dataclass
class Draft:
    """A section being read.

    `aside` is the text beside its clauses, with the clauses it would be if it were any.
    """

    number: str
    title: str
    line: int
    level: int
    bullets: list[Bullet] = field(default_factory=list)
    tables: list[int] = field(default_factory=list)
    aside: list[tuple[int, str, list[Bullet]]] = field(default_factory=list)
    has_lines: bool = False

    def has_clauses_above(self, line: int) -> bool:
        """Whether a clause, or a table that should hold some, stands above this line."""
        return min([*self.tables, *(bullet.line for bullet in self.bullets)], default=line) < line


@dataclass
class Open:
    """A label whose value stands below it: all up to the next heading, or but one block."""

    label: str
    line: int
    to_next_heading: bool
    values: list[str] = field(default_factory=list)
    items: list[Bullet] = field(default_factory=list)

    def closed(self) -> Bullet:
        """The clause it has become."""
        return Bullet(self.label, " ".join(filter(None, self.values)), self.line, tuple(self.items))


@dataclass
class _Line:
    """A clause that begins on a line: what it says there and on the wrapped lines below it."""

    label: str
    values: list[str]
    line: int
    indent: int
    items: list[Bullet] = field(default_factory=list)


def clauses_of_lines(lines: list[str], first: int) -> tuple[str, list[Bullet]]:
    """A paragraph's lines as clauses, wrapped lines joined, and what stands before the first.

    Lines further in, below a label without a value, are its items.
    """
    lead: list[str] = []
    clauses: list[_Line] = []
    for number, line in enumerate(lines, start=first):
        text, indent = unbroken(line), len(line) - len(line.lstrip())
        above = clauses[-1] if clauses else None
        found = label_of_line(text)
        if above and not any(above.values) and indent > above.indent:
            above.items.append(Bullet(*labelled(text), number, (), text))
        elif found:
            clauses.append(_Line(found.label, [found.value], number, indent))
        else:
            (above.values if above else lead).append(text)
    bullets = [
        Bullet(c.label, " ".join(filter(None, c.values)), c.line, tuple(c.items)) for c in clauses
    ]
    return " ".join(lead), bullets


def items_of(node: SyntaxTreeNode) -> list[Bullet]:
    """The items of a list, each with those of the lists in it."""
    bullets = []
    for item in node.children:
        text = " ".join(text_of_node(part) for part in item.children if part.type not in LISTS)
        lists = [part for part in item.children if part.type in LISTS]
        nested = tuple(bullet for part in lists for bullet in items_of(part))
        bullets.append(Bullet(*labelled(text), line_of(item), nested, text))
    return bullets


def with_items(bullet: Bullet) -> Bullet:
    """The clause of a list whose items stand on its own line: `a: 0–1; b: ≥ 0`."""
    parts = [part.strip() for part in bullet.value.rstrip("; ").split(";")]
    items = tuple(Bullet(*labelled(part), bullet.line, (), part) for part in parts)
    if bullet.items or not all(item.value for item in items):
        return bullet
    return replace(bullet, value="", items=items)


def heading_of_a_list(node: SyntaxTreeNode) -> str:
    """A section's `6. Title` on a line of its own, a list for Markdown; empty where it is none."""
    if node.type != "ordered_list" or len(node.children) > 1 or len(node.children[0].children) != 1:
        return ""
    heading = f"{node.attrs.get('start', 1)}. {text_of_node(node.children[0])}"
    return heading if is_title(heading) else ""


def text_of_node(node: SyntaxTreeNode) -> str:
    """The node's source text on one line: a wrapped sentence is still one value."""
    return " ".join(" ".join(part.content for part in node.walk()).split())


def line_of(node: SyntaxTreeNode) -> int:
    return node.map[0] + 1 if node.map else 1
