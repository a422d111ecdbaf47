"""The kinds of chart, drawn by plotly in the page's colours: numbers in, a plotly Figure out.

Green keeps what is promised; red, and everything over the red ground behind a limit, does not.
Nothing is told by its colour alone: who cannot tell red from green reads it off a shape or a word.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import accumulate
from math import ceil, floor, isclose, log10
from typing import Any

import plotly.graph_objects as go

KEPT, WARNED, BROKEN = "#1a7f4b", "#9a6700", "#c0262d"
_INK, _LINE, _GREY = "#1d1d1b", "#e3e3e0", "#b4b4ae"
_AXIS = {
    "automargin": True,
    "fixedrange": True,  # no zooming: a finger on a chart scrolls the page
    "gridcolor": _LINE,
    "linecolor": _LINE,
    "nticks": 6,
    "showline": True,
    "tickcolor": _LINE,
    "ticks": "outside",
    "title": {"standoff": 8},
    "zeroline": False,
}
_OVER = "rgba(192, 38, 45, 0.08)"  # BROKEN, as a ground
_AT_LIMIT = {"color": BROKEN, "dash": "dash", "width": 1.5}
_STYLE = go.layout.Template(
    layout={
        "bargap": 0.3,
        "dragmode": False,
        "font": {"color": _INK, "family": "system-ui, sans-serif", "size": 12},
        "legend": {
            "itemclick": False,
            "itemdoubleclick": False,
            "orientation": "h",
            "x": 0,
            "y": 1,
            "yanchor": "bottom",
        },
        "margin": {"b": 8, "l": 8, "r": 28, "t": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "xaxis": _AXIS,
        "yaxis": _AXIS,
    }
)


def saw_tooth(points: Sequence[tuple[datetime, float]], limit: float, named: str) -> Any:
    """Ages (hours) over time (UTC), and the age they must stay under."""
    at, ages = zip(*points, strict=True)
    top = max(*ages, limit) * 1.15
    figure = _figure("time (UTC)", "age (hours)", showlegend=False)
    figure.add_scatter(
        x=at,
        y=ages,
        mode="lines",
        line={"color": KEPT, "width": 1.5},
        hovertemplate="%{x|%d %b %H:%M}: %{y:.2f} h<extra></extra>",
    )
    # Written at the top of the ground: above every age, however far that is over the limit.
    label = _label(named, "top left", "left", "top")
    figure.add_hrect(limit, top, fillcolor=_OVER, line_width=0, label=label)
    figure.add_hline(limit, line=_AT_LIMIT)
    figure.update_xaxes(tickformat="%d %b<br>%H:%M", nticks=5)
    figure.update_yaxes(range=[0, top])
    return figure


def two_histograms(bins: Sequence[tuple[str, int, int]], color: str) -> Any:
    """Each bin's share of the entities, over its label and its counts in the baseline and now."""
    labels = [escape(label) for label, _, _ in bins]  # plotly reads text as HTML
    places = list(range(len(bins)))
    figure = _figure("share of entities (%)", "", barmode="group")
    for name, counts, tone in (
        ("baseline", [then for _, then, _ in bins], _GREY),
        ("now", [now for _, _, now in bins], color),
    ):
        figure.add_bar(
            orientation="h",
            x=_percent(counts),
            y=places,
            name=name,
            marker_color=tone,
            customdata=counts,
            hovertext=labels,
            hovertemplate="%{hovertext}: %{x:.1f}%; entities: %{customdata:,}",
        )
    figure.update_xaxes(rangemode="tozero")
    figure.update_yaxes(autorange="reversed", tickvals=places, ticktext=labels, showgrid=False)
    return figure


def pairs_of_values(counted: Mapping[tuple[float, float], int]) -> Any:
    """Online over offline values, each pair once; equal ones lie on the diagonal."""
    low, high = min(map(min, counted)), max(map(max, counted))
    margin = (high - low) * 0.05 or 1
    ends = [low - margin, high + margin]
    figure = _figure("offline value", "online value")
    figure.add_scatter(
        x=ends,
        y=ends,
        mode="lines",
        line={"color": _GREY, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    kinds = (("equal", KEPT, "circle", True), ("differing", BROKEN, "x", False))
    for name, color, symbol, equal in kinds:
        # As near as measures.comparison asks.
        drawn = [pair for pair in counted if isclose(*pair, rel_tol=1e-12) is equal]
        figure.add_scatter(
            x=[offline for offline, _ in drawn],
            y=[online for _, online in drawn],
            mode="markers",
            name=name,
            marker={"color": color, "opacity": 0.7, "size": 7, "symbol": symbol},
            customdata=[counted[pair] for pair in drawn],
            hovertemplate="offline %{x}, online %{y}; entities: %{customdata:,}<extra></extra>",
        )
    figure.update_xaxes(range=ends)
    figure.update_yaxes(range=ends)
    return figure


def latencies(
    histogram: Sequence[tuple[float, int]], marked: tuple[str, float, float], limit: float
) -> Any:
    """The share of requests answered within each time (ms), over bins of (upper end, count).

    `marked` is the percentile that must stay under the limit: its name, its share (%), its time.
    """
    ends = [end for end, _ in histogram]
    within = list(accumulate(_percent([count for _, count in histogram])))
    name, share, time = marked
    right = max(ends[-1], time, limit) * 1.5
    figure = _figure("time to answer (ms)", "answered by then (%)", showlegend=False)
    figure.add_scatter(
        x=ends,
        y=within,
        mode="lines+markers",
        line={"color": KEPT, "width": 1.5},
        marker_size=4,
        hovertemplate="%{y:.2f}% within %{x:.3g} ms<extra></extra>",
    )
    figure.add_scatter(
        x=[time],
        y=[share],
        mode="markers+text",
        marker={"color": KEPT if time <= limit else BROKEN, "size": 10},
        text=[escape(name)],
        textposition="bottom right",
        hoverinfo="skip",
    )
    figure.add_vrect(limit, right, fillcolor=_OVER, line_width=0)
    # Written before the line, below the curve: over the ground a phone has no room for it.
    label = _label(f"limit {limit:g} ms", "start", "right", "bottom")
    figure.add_vline(limit, line=_AT_LIMIT, label=label)
    left = min(*ends, limit / 10) * 0.8  # so that a power of ten is named
    named = _named(left, right)
    figure.update_xaxes(type="log", range=[log10(left), log10(right)], tickvals=named)
    figure.update_yaxes(range=[0, 105])
    return figure


def _figure(x: str, y: str, **layout: Any) -> Any:
    titles = {"xaxis_title_text": x, "yaxis_title_text": y}
    return go.Figure(layout={"template": _STYLE, **titles, **layout})


def _label(text: str, place: str, side: str, edge: str) -> dict[str, Any]:
    """Written at that place of a shape, with that side and that edge of the text at it."""
    return {
        "font": {"color": BROKEN},
        "text": escape(text),
        "textangle": 0,
        "textposition": place,
        "xanchor": side,
        "yanchor": edge,
    }


def _named(low: float, high: float) -> list[float]:
    """What a logarithmic axis names: 1, 2, 5, 10; over more than three decades the tens alone."""
    steps = (1, 2, 5) if high / low <= 1000 else (1,)
    decades = range(floor(log10(low)), ceil(log10(high)))
    return [step * 10.0**decade for decade in decades for step in steps]


def _percent(counts: Sequence[int]) -> list[float]:
    total = sum(counts) or 1  # of nothing, every share is nothing
    return [100 * count / total for count in counts]
