"""Draw the picture of docs/time-semantics.md: one customer's events and the rows they become."""

from datetime import datetime, timedelta
from html import escape

from contract_checks.language.sentence import spell
from jobs.demonstration.one_customer import DAY, EVENTS, PREDICTION, START, Event, Story

# The picture: two stretches of four days, one window apart, with the days between cut out.
_LEFT, _DAY_WIDTH, _DAYS, _GAP = 130, 100, 4, 60
_LANES, _LANE_HEIGHT = 124, 36
_BASE, _ORDER_HEIGHT = 446, 18
_ROW_STRIP = 492
_INK, _FAINT, _BLUE, _RED, _GREEN, _PURPLE = (
    "#1f2328",
    "#5d6771",
    "#2f6fc4",
    "#b42318",
    "#1a7446",
    "#7a3db8",
)


class Drawing:
    """SVG text, line by line."""

    def __init__(self, window: timedelta) -> None:
        self._second = START + window
        self.lines: list[str] = []

    def x(self, time: datetime) -> float:
        """Where a time lies; a time between the stretches lies at the cut."""
        width, start, left = _DAY_WIDTH * _DAYS, START, float(_LEFT)
        if time >= self._second:
            start, left = self._second, _LEFT + width + _GAP
        return left + min((time - start) / DAY * _DAY_WIDTH, width)

    def line(self, x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> None:
        self.lines.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" {more}/>'
        )

    def text(self, x: float, y: float, words: str, colour: str = _INK, more: str = "") -> None:
        self.lines.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {more}>{escape(words)}</text>'
        )

    def dot(self, x: float, y: float, colour: str, radius: float = 5) -> None:
        self.lines.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def bar(self, x1: float, x2: float, y: float) -> None:
        self.lines.append(
            f'<rect x="{x1:.1f}" y="{y - 7:.1f}" width="{x2 - x1:.1f}" height="14" rx="2" '
            f'fill="#cfe1f9" stroke="{_BLUE}"/>'
        )

    def arrow(self, x1: float, x2: float, y: float, colour: str) -> None:
        self.line(x1, y, x2 - 6, y, colour, 'stroke-width="2"')
        self.lines.append(
            f'<path d="M{x2 - 7:.1f} {y - 5:.1f} L{x2:.1f} {y:.1f} L{x2 - 7:.1f} {y + 5:.1f} Z" '
            f'fill="{colour}"/>'
        )


def picture(story: Story) -> str:
    """The whole SVG."""
    d = Drawing(story.window)
    d.text(20, 34, f"{len(EVENTS)} events of one customer, and the {len(story.rows)} rows they "
           "become", more='font-size="19" font-weight="600"')  # fmt: skip
    _legend(d)
    _calendar(d, story)
    for number, event in enumerate(EVENTS):
        _lane(d, story, event, _LANES + number * _LANE_HEIGHT)
    _steps(d, story)
    _prediction(d, story)
    width = _LEFT + 2 * _DAYS * _DAY_WIDTH + _GAP + 62
    height = _ROW_STRIP + 38
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img" '
            "font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" "
            'font-size="14">',
            "<title>One customer's events and the rows of the change log</title>",
            f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8" '
            'fill="#ffffff" stroke="#d0d7de"/>',
            *d.lines,
            "</svg>\n",
        ]
    )


def _legend(d: Drawing) -> None:
    y = 62
    d.dot(26, y - 5, _INK)
    d.text(38, y, "happened")
    d.arrow(120, 146, y - 5, _INK)
    d.text(153, y, "arrived")
    d.bar(222, 250, y - 5)
    d.text(258, y, "in force")
    d.line(334, y - 5, 362, y - 5, _GREEN, 'stroke-width="2.5"')
    d.text(370, y, "orders_30d as the rows tell it")


def _calendar(d: Drawing, story: Story) -> None:
    top, bottom = _LANES - 24, _BASE
    for first in (START, START + story.window):
        left, right = d.x(first), d.x(first) + _DAYS * _DAY_WIDTH
        for number in range(_DAYS + 1):
            x = left + number * _DAY_WIDTH
            d.line(x, top, x, bottom, "#e3e7eb")
            if number < _DAYS:
                day = first + number * DAY
                d.text(x + 6, top - 4, f"{day.day} {day:%b}", _FAINT)
        for orders in (0, 2, 4, 6):
            y = _BASE - orders * _ORDER_HEIGHT
            d.line(left, y, right, y, "#8c959f" if orders == 0 else "#e3e7eb")
            if first == START:
                d.text(left - 10, y + 5, str(orders), _FAINT, 'text-anchor="end"')
    cut = START + _DAYS * DAY
    days = (START + story.window - cut) // DAY
    d.text(d.x(cut) + _GAP / 2, top - 4, f"{days} d", _FAINT, 'text-anchor="middle"')
    d.text(20, _BASE - 3 * _ORDER_HEIGHT + 5, "orders_30d", _GREEN, 'font-weight="600"')
    d.text(20, _ROW_STRIP + 5, "row", _INK, 'font-weight="600"')


def _lane(d: Drawing, story: Story, event: Event, y: float) -> None:
    plural = "order" if event.orders == 1 else "orders"
    d.text(20, y + 5, event.name, more='font-weight="600"')
    d.text(40, y + 5, f"{event.orders} {plural}", _FAINT)
    happened, arrived = d.x(event.happened), d.x(event.arrived)
    second = START + story.window
    if event.name in story.quarantined:
        late = spell(event.arrived - event.happened)
        d.arrow(happened, arrived, y, _RED)
        d.dot(happened, y, _RED)
        d.line(arrived + 4, y - 6, arrived + 16, y + 6, _RED, 'stroke-width="2.5"')
        d.line(arrived + 4, y + 6, arrived + 16, y - 6, _RED, 'stroke-width="2.5"')
        d.text(d.x(second) + 8, y + 5, f"{late} late: quarantined, never in force", _RED)
        return
    until, cut = story.in_force_until(event), START + _DAYS * DAY
    if successor := story.replaced_by(event):
        d.bar(arrived, d.x(until), y)
        d.text(d.x(until) + 8, y + 5, f"replaced by {successor.name}", _FAINT)
    else:
        d.bar(arrived, d.x(cut), y)
        d.line(d.x(cut) + 4, y, d.x(second) - 4, y, _BLUE, 'stroke-dasharray="3 4"')
        d.bar(d.x(second), d.x(until), y)
        d.text(d.x(until) + 8, y + 5, f"{spell(story.window)} old: leaves", _FAINT)
    d.arrow(happened, arrived, y, _INK)
    d.dot(happened, y, _INK)


def _steps(d: Drawing, story: Story) -> None:
    level, path = _BASE, f"M{_LEFT} {_BASE}"
    second = START + story.window
    beyond_cut = False
    for row in story.rows:
        x, y = d.x(row["event_timestamp"]), _BASE - row["orders_30d"] * _ORDER_HEIGHT
        if row["event_timestamp"] >= second and not beyond_cut:
            path += f" H{d.x(START + _DAYS * DAY)} M{d.x(second)} {level}"
            d.line(d.x(START + _DAYS * DAY) + 4, level, d.x(second) - 4, level, _GREEN,
                   'stroke-dasharray="3 4"')  # fmt: skip
            beyond_cut = True
        path += f" H{x:.1f} V{y}"
        level = y
    path += f" H{d.x(second) + _DAYS * _DAY_WIDTH}"
    d.lines.append(f'<path d="{path}" fill="none" stroke="{_GREEN}" stroke-width="2.5"/>')
    for number, row in enumerate(story.rows, start=1):
        x, y = d.x(row["event_timestamp"]), _BASE - row["orders_30d"] * _ORDER_HEIGHT
        d.line(x, y, x, _ROW_STRIP - 11, _GREEN, 'stroke-dasharray="2 3"')
        d.dot(x, y, _GREEN)
        d.text(x + 8, y - 8, str(row["orders_30d"]), _GREEN, 'font-weight="600"')
        d.lines.append(
            f'<rect x="{x - 11:.1f}" y="{_ROW_STRIP - 11}" width="22" height="22" rx="4" '
            f'fill="{_GREEN}"/>'
        )
        d.text(x, _ROW_STRIP + 5, str(number), "#ffffff", 'text-anchor="middle" font-weight="600"')


def _prediction(d: Drawing, story: Story) -> None:
    x = d.x(PREDICTION)
    known = [row["orders_30d"] for row in story.rows if row["event_timestamp"] <= PREDICTION][-1]
    missing = [e.name for e in EVENTS if e.happened <= PREDICTION < e.arrived]
    said = f"asked here: {known}, as {' and '.join(missing)} has not arrived"
    d.line(x, _LANES - 20, x, _BASE, _PURPLE, 'stroke-width="1.5" stroke-dasharray="6 4"')
    d.text(x - 8, _LANES + len(EVENTS) * _LANE_HEIGHT, said, _PURPLE, 'text-anchor="end"')
