"""One pass over a document's outline: the terms that it yields, and everything wrong with it."""

from collections.abc import Set
from dataclasses import dataclass, field
from typing import cast

from contract_checks.language import advice
from contract_checks.language.characters import printable
from contract_checks.language.consistency import conflicts
from contract_checks.language.contract import Contract
from contract_checks.language.document import Bullet, Document, Section
from contract_checks.language.feature_columns import (
    LEFT,
    RANGES,
    feature_of,
    is_left_to_features,
    missing_of_features,
)
from contract_checks.language.feature_terms import PER_FEATURE, FeatureTerms
from contract_checks.language.form import CLAUSES, TITLES, Clause, Entry, same_title
from contract_checks.language.naming import clause_of_a_group
from contract_checks.language.nested import value_of
from contract_checks.language.outline import NOTES, NOTES_CLAUSE
from contract_checks.language.problems import Problem
from contract_checks.language.revisions import revision, unmarked, without_comments
from contract_checks.language.sentence import Unreadable, quote, shown
from contract_checks.language.terms import DataType, Terms
from contract_checks.language.values import title as read_title


@dataclass
class DocumentReading:
    """One pass over a document: the terms it yields and the problems met on the way."""

    document: Document
    terms: dict[str, dict[str, object]] = field(default_factory=dict)
    prose: dict[str, str] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    item_lines: dict[tuple[str, str], int] = field(default_factory=dict)
    own: dict[str, FeatureTerms] = field(default_factory=dict)
    left: dict[Clause, int] = field(default_factory=dict)
    found: list[Problem] = field(default_factory=list)

    def problems(self) -> list[Problem]:
        """Read the document against the form: every problem, those between clauses included."""
        for bullet in self.document.strays:
            message = f"{quote(bullet.label)} stands before section 1: move it to its section"
            self._report(bullet.line, "document", message)
        for fault in self.document.faults:
            place = f"§{fault.section}" if fault.section in TITLES else "document"
            self._report(fault.line, place, fault.message)
        for line, text in self.document.between:  # a comment there hides nothing that is in force
            if why := revision(without_comments(text)):
                self._report(line, "document", f"{quote(text)} {why}")
        for section in self._sections_of_the_form():
            self._read_section(section)
        self._read_what_is_left_to_features()
        draft = self.draft()
        for clause, message, item in conflicts(draft):
            line = self.item_lines.get((clause, item), self.lines[clause])
            self._report(line, clause, message)
        self._read_title(draft)
        return self.found

    def _report(self, line: int, clause: str, message: str) -> None:
        self.found.append(Problem(line, clause, printable(message)))

    def _sections_of_the_form(self) -> list[Section]:
        """The sections the form knows, each once; missing, repeated, foreign ones are reported."""
        sections: dict[str, Section] = {}
        for section in self.document.sections:
            title = TITLES.get(section.number)
            if why := revision(section.title):
                self._report(section.line, "document", f"{quote(section.title)} {why}")
                if title:
                    sections.setdefault(section.number, section)
            elif (section.number, section.title) == NOTES and section.number not in sections:
                sections[section.number] = section
                if self.document.notes:
                    self.prose[NOTES_CLAUSE] = self.document.notes
            elif title is None:
                heading = f"{section.number} {section.title}".strip()
                self._report(section.line, "document", advice.foreign_heading(heading))
            elif first := sections.get(section.number):
                message = f"section repeated, first on line {first.line}: keep one"
                self._report(section.line, f"§{section.number}", message)
            else:
                sections[section.number] = section
                if not same_title(section.title, title):
                    message = f"expected the title {quote(title)}; got {quote(section.title)}"
                    self._report(section.line, f"§{section.number}", message)
        self._report_missing(sections.keys())
        return list(sections.values())

    def _report_missing(self, present: Set[str]) -> None:
        """One problem for a missing section, its subsections included where none is left."""
        chapters = {number.split(".")[0] for number in present}
        for number in TITLES:
            chapter, _, subsection = number.partition(".")
            if number not in present and (chapter in chapters or not subsection):
                self._report(self.document.last_line, f"§{number}", advice.missing_section(number))

    def _read_section(self, section: Section) -> None:
        clauses = [clause for clause in CLAUSES if clause.section == section.number]
        self._read_bullets(section, section.bullets, [c for c in clauses if not c.parent])
        for clause in clauses:
            below_nothing = clause.parent and clause.parent not in self.lines
            if clause.id not in self.lines and not below_nothing:
                line = self.lines.get(clause.parent, section.line)
                self._report(line, clause.id, advice.missing(clause))

    def _read_bullets(
        self, section: Section, bullets: tuple[Bullet, ...], clauses: list[Clause]
    ) -> None:
        for bullet in bullets:
            why = revision(bullet.label)
            label = unmarked(bullet.label) if why else bullet.label
            clause = next((clause for clause in clauses if clause.accepts(label)), None)
            clause = clause or clause_of_a_group(section.number, label)
            if why:
                place = clause.id if clause else f"§{section.number}"
                self._report(bullet.line, place, f"{quote(bullet.label)} {why}")
                self.lines.setdefault(place, bullet.line)
            elif clause is None:
                self._report(
                    bullet.line,
                    f"§{section.number}",
                    advice.unknown(bullet.label, clauses, self.lines),
                )
            elif clause.id in self.lines:
                message = f"repeated, first on line {self.lines[clause.id]}: keep one"
                self._report(bullet.line, clause.id, message)
            else:
                if clause.parent:  # a group's clauses may stand without its heading
                    self.lines.setdefault(clause.parent, bullet.line)
                    self.texts.setdefault(clause.parent, "")
                self.lines[clause.id] = bullet.line
                self.texts[clause.id] = value_of(clause, bullet)
                self._read_clause(section, clause, bullet)

    def _read_clause(self, section: Section, clause: Clause, bullet: Bullet) -> None:
        is_list = bool(clause.group or clause.entry)
        if is_list and (bullet.value or not bullet.items):
            wanted = "a list below it, or 'a: ...; b: ...'"
            if bullet.items and clause.id == RANGES:
                wanted = "'see table' and nothing more"
            self._report(bullet.line, clause.id, f"expected {wanted}; got {quote(bullet.value)}")
        if bullet.items and bullet.value and not (is_list or clause.is_prose):
            message = f"takes one value, but {quote(bullet.items[0].label)} is nested below it"
            self._report(bullet.items[0].line, clause.id, message)

        if clause.group:
            below = [other for other in CLAUSES if other.parent == clause.id]
            self._read_bullets(section, bullet.items, below)
        elif clause.entry:
            self._read_items(clause, clause.entry, bullet)
        else:
            self._read_value(clause, bullet)

    def _read_value(self, clause: Clause, bullet: Bullet) -> None:
        text = self.texts[clause.id]
        if clause.id in LEFT and is_left_to_features(text):
            self.left[clause] = bullet.line
            return
        try:
            value = clause.reader(shown(text))
        except Unreadable as reason:
            self._report(bullet.line, clause.id, advice.otherwise(clause, text, str(reason)))
            return
        if clause.is_prose:
            self.prose[clause.id] = text
        else:
            self._put(clause, value)

    def _read_items(self, clause: Clause, read: Entry, bullet: Bullet) -> None:
        items: dict[str, object] = {}
        unreadable = False
        for item in bullet.items:
            try:
                shown(f"{item.label}: {item.text}")  # a mark may reach over both
                key, value = self._item(clause, read, item)
            except Unreadable as reason:
                self._report(item.line, clause.id, f"{quote(item.label)}: {reason}")
                unreadable |= clause.stand_in is None
                items.setdefault(item.label, clause.stand_in)
                self.item_lines.setdefault((clause.id, item.label), item.line)
                continue
            if key in items or (value is None and (clause.id, key) in self.item_lines):
                first = self.item_lines[clause.id, key]
                message = f"{key}: repeated, first on line {first}: keep one"
                self._report(item.line, clause.id, message)
            else:
                self.item_lines[clause.id, key] = item.line
                if value is not None:
                    items[key] = value
        if clause.id == RANGES and bullet.items and not items:
            self._report(
                bullet.line, clause.id, "no feature has a range: add them, such as 0–1,000"
            )
        if items and not unreadable:  # half a list would seem to contradict other clauses
            self._put(clause, items)

    def _item(self, clause: Clause, read: Entry, item: Bullet) -> tuple[str, object]:
        """The key and the value of an item; of a feature its own terms, too."""
        if clause.id != RANGES:
            return read(item.label, item.text)
        feature, allowed, own = feature_of(item)
        if own != FeatureTerms():
            self.own[feature] = own
            self.terms.setdefault("definition", {})["features"] = self.own
        return feature, allowed

    def _read_what_is_left_to_features(self) -> None:
        """A clause that says `see table` holds where the table has its column for every feature."""
        for clause, line in self.left.items():
            if missing := missing_of_features(clause.id, self.draft().definition):
                self._report(line, clause.id, f"leaves it to each feature, but there is {missing}")
            elif clause.id == "§5.2 data type":
                self._put(clause, DataType(name="struct", fields=()))
            else:
                self._put(clause, PER_FEATURE)

    def _put(self, clause: Clause, value: object) -> None:
        group, name = clause.lands.split(".")
        self.terms.setdefault(group, {})[name] = value

    def draft(self) -> Contract:
        """The contract as far as it could be read; a field that could not be is absent."""
        groups = {
            name: cast(type[Terms], Contract.model_fields[name].annotation).model_construct(
                None, **values
            )
            for name, values in self.terms.items()
        }
        return Contract.model_construct(None, **groups)

    def _read_title(self, draft: Contract) -> None:
        """The title names the feature and version of §1."""
        try:
            named = read_title(shown(self.document.title))
            overview = (draft.overview.feature_name, draft.overview.version)
        except Unreadable as reason:
            self._report(self.document.title_line, "title", str(reason))
        except AttributeError:  # §1 could not be read, which is reported there
            pass
        else:
            if named != overview:
                message = f"names {' '.join(named)}, but §1 is {' '.join(overview)}"
                self._report(self.document.title_line, "title", message)
