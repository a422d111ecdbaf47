"""How a browser lays the report's page out on a desktop and on a phone, and what it asks for."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from charted_evidence import BINS, CONTRACT, charted, load_test, written
from kept_evidence import VIEW
from waiting import GIVE_UP_SECONDS

from contract_checks.findings import Finding, Outcome
from contract_checks.judge import judge
from contract_checks.report.html import page

DESKTOP, PHONE = 1280, 390
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1400,1000"),
    *("--virtual-time-budget=10000", "--dump-dom"),
)
# Asked inside the page, with every clause unfolded, and told to the page around it.
LOOK = """<script>
const refused = [];
addEventListener("securitypolicyviolation", event => refused.push(event.blockedURI));
const box = element => element.getBoundingClientRect();
const words = element => {
  const range = document.createRange();
  range.selectNodeContents(element);
  return box(range);
};
const beside = (inner, outer) => inner.left >= outer.left - 1 && inner.right <= outer.right + 1;
const inside = (inner, outer) =>
  beside(inner, outer) && inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
const meet = (one, other) => one.left < other.right && other.left < one.right
  && one.top < other.bottom && other.top < one.bottom;
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const told = elements => elements.map(element => element.textContent.trim());
addEventListener("load", () => setTimeout(() => {
  const root = document.documentElement, cards = all("figure");
  const folded = root.scrollWidth - root.clientWidth;
  all("details").forEach(clause => clause.open = true);
  const cells = all("h1, .where, .tile, .ways, summary > span, tbody td")
    .filter(cell => cell.textContent.trim());
  const texts = card => all("svg text", card).filter(text => text.textContent);
  parent.postMessage(JSON.stringify({
    width: innerWidth,
    scrolls: Math.max(folded, root.scrollWidth - root.clientWidth),
    cells: cells.length,
    cut: told(cells.filter(cell => !inside(words(cell), box(cell))
      || !beside(box(cell), {left: 0, right: innerWidth}) || box(cell).width === 0)),
    narrow: told(all('td[data-label="expected"]').filter(cell => box(cell).width < 200)),
    columns: new Set(cards.map(card => Math.round(box(card).left))).size,
    drawn: cards.filter(card => all("svg .trace path", card)
      .some(path => box(path).width > 0)).length,
    flat: all(".drawing svg.main-svg").filter(svg => box(svg).width < 200 || box(svg).height < 100
      || !inside(box(svg), box(svg.closest("figure")))).length,
    clipped: told(cards.flatMap(card => texts(card).filter(text => !inside(box(text), box(card))))),
    off: told(cards.flatMap(card => all(".shape-label text", card)
      .filter(text => !inside(box(text), box(card.querySelector(".nsewdrag")))))),
    over: told(cards.flatMap(card => texts(card)
      .filter(text => texts(card).some(other => other !== text && meet(box(text), box(other)))))),
    small: told(cards.flatMap(card => texts(card)
      .filter(text => parseFloat(getComputedStyle(text).fontSize) < 11))),
    bins: cards.length ? told(all(".ytick text", cards[1])) : [],
    refused, asked: performance.getEntriesByType("resource").map(entry => entry.name),
  }), "*");
}, 500));
</script>"""
AROUND = """<!doctype html><pre></pre><script>
const seen = [];
addEventListener("message", event => {
  seen.push(JSON.parse(event.data));
  document.querySelector("pre").textContent = JSON.stringify(seen);
});
</script>"""
Look = dict[str, Any]


def looked_at(text: str, folder: Path) -> dict[int, Look]:
    """What a browser made of a page in a desktop's and in a phone's width, by width."""
    if BROWSER is None:
        pytest.skip(f"NO BROWSER ({', '.join(BROWSERS)}) ON PATH: THE PAGE WAS NOT LOOKED AT")
    (folder / "page.html").write_text(text.replace("<head>", f"<head>{LOOK}"), encoding="utf-8")
    frames = "".join(  # a window has a least width, wider than a phone; a frame has none
        f'<iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe>'
        for width in (DESKTOP, PHONE)
    )
    around = folder / "around.html"
    around.write_text(AROUND + frames, encoding="utf-8")
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [BROWSER, *FLAGS, profile, around.as_uri()],
        capture_output=True,
        text=True,
        check=False,
        timeout=GIVE_UP_SECONDS,
    )
    found = re.search(r"<pre>(.*?)</pre>", done.stdout, re.DOTALL)
    assert found and found[1], done.stderr
    seen = {look["width"]: look for look in json.loads(unescape(found[1]))}
    assert set(seen) == {DESKTOP, PHONE}
    return seen


def assert_fits(look: Look) -> None:
    """Nothing scrolls sideways, and no word is cut, covered or too small to read."""
    assert look["scrolls"] == 0
    for amiss in ("cut", "narrow", "clipped", "off", "over", "small"):
        assert look[amiss] == [], amiss
    assert look["flat"] == 0


def test_every_chart_is_drawn_and_every_word_has_its_place(tmp_path: Path) -> None:
    seen = looked_at(written(charted(tmp_path)), tmp_path)
    for look in seen.values():
        assert_fits(look)
        assert look["cells"] > 500
        assert look["drawn"] == 10
        assert look["bins"] == list(BINS[:4])
        assert look["asked"] == look["refused"] == []
    assert (seen[DESKTOP]["columns"], seen[PHONE]["columns"]) == (2, 1)


def test_what_is_long_or_far_over_its_limit_fits(tmp_path: Path) -> None:
    evidence = charted(tmp_path)
    slow = load_test(9000.0, histogram=[[0.2, 5], [50.0, 5], [12_000.0, 1990]])
    refreshes = evidence.operations.of("refresh", VIEW)
    evidence = replace(
        evidence, gathered_operations=replace(evidence.operations, records=(*refreshes, slow))
    )
    report = judge(CONTRACT, evidence)
    word = "an_identifier_without_an_end" * 10
    finding = Finding(f"§5.2 {word}", word, Outcome.BROKEN, word, word, 10**12, (word,) * 3, 12345)
    long = replace(report, title=word, contract=f"{word}/{word}", findings=(finding,) * 2)
    for look in looked_at(page(long, evidence, CONTRACT), tmp_path).values():
        assert_fits(look)
        assert look["drawn"] == 10


def test_a_browser_asks_for_nothing_and_would_not_be_let(tmp_path: Path) -> None:
    """Without its policy the page would get what it asks for, so all it asks for is seen."""
    evidence, address = charted(tmp_path), "http://charts.invalid/a.png"

    def with_image(text: str) -> str:
        return text.replace("</body>", f'<img src="{address}"></body>')

    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    free, removed = re.subn(policy, "", with_image(written(evidence)))
    assert removed == 1
    assert [look["asked"] for look in looked_at(free, tmp_path).values()] == [[address]] * 2
    held = with_image(page(judge(CONTRACT, evidence)))  # no charts, the same policy
    assert [look["refused"] for look in looked_at(held, tmp_path).values()] == [[address]] * 2
