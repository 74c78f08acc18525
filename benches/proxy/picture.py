#!/usr/bin/env python3
"""Draws the results of `cargo bench --bench proxy -- --out results.json` as bars.

usage: picture.py results.json > docs/speed.svg

Needs nothing but Python. The colours follow the reader's theme.
"""

import json
import sys
from html import escape

NAMES = {
    "bare": ("bare forwarder", "checks nothing"),
    "bare-single": ("bare, one thread", "checks nothing"),
    "portcullis": ("Portcullis", "token, roles, conditions, record"),
    "nginx": ("nginx", "checks nothing"),
    "haproxy": ("HAProxy", "token"),
    "envoy-cache": ("Envoy, token cache on", "token, one role"),
    "envoy": ("Envoy", "token, one role"),
}
SHOWN = ["portcullis", "bare", "nginx", "haproxy", "envoy-cache", "envoy"]
PANELS = {
    "h1-hot": "HTTP/1.1, known token",
    "h2-hot": "HTTP/2, known token",
    "h1-new": "HTTP/1.1, new token each time",
    "connect": "new TLS connection each time",
}

WIDTH, MARGIN, GAP = 840, 20, 40
PANEL = (WIDTH - 2 * MARGIN - GAP) // 2
TEXT, ROW, BAR, HEAD = 176, 28, 14, 34

STYLE = """
text { font: 12px -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; fill: #3d444d }
.title { font-size: 15px; font-weight: 600; fill: #1f2328 }
.panel { font-size: 13px; font-weight: 600; fill: #1f2328 }
.quiet { font-size: 10.5px; fill: #6e7781 }
.own { font-weight: 600; fill: #0550ae }
rect { fill: #b6bec7 }
rect.own { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #c9d1d9 }
  .title, .panel { fill: #f0f6fc }
  .quiet { fill: #8b949e }
  .own { fill: #79c0ff }
  rect { fill: #484f58 }
  rect.own { fill: #388bfd }
}
"""


def text(x, y, words, kind="", anchor="start"):
    kind = f' class="{kind}"' if kind else ""
    anchor = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}"{kind}{anchor}>{escape(words)}</text>'


def panel(x, y, title, costs):
    """One scenario: a bar for each proxy, in microseconds for a request."""
    yield text(x, y + 14, title, "panel")
    widest = max(costs.values())
    room = PANEL - TEXT - 54
    for row, (name, cost) in enumerate(costs.items()):
        top = y + HEAD - 8 + row * ROW
        own = "own" if name == "portcullis" else ""
        label, checks = NAMES[name]
        yield text(x, top + 9, label, own)
        yield text(x, top + 20, checks, "quiet")
        length = max(1, room * cost / widest)
        rounded = f' class="{own}"' if own else ""
        yield (
            f'<rect x="{x + TEXT}" y="{top + 3}" width="{length:.1f}" '
            f'height="{BAR}" rx="2"{rounded}/>'
        )
        yield text(x + TEXT + length + 6, top + 14, f"{cost:.0f} µs", own)


def picture(results):
    measured = {}
    for one in results["scenarios"]:
        costs = {p["proxy"]: p["median"]["cpu_micros"] for p in one["proxies"]}
        measured[one["scenario"]] = {n: costs[n] for n in SHOWN if n in costs}
    panels = [(t, measured[s]) for s, t in PANELS.items() if measured.get(s)]
    if not panels:
        sys.exit("none of the scenarios that are shown is in the results")
    rows = max(len(costs) for _, costs in panels)
    height = HEAD + rows * ROW + 8
    lines = -(-len(panels) // 2)
    total = 58 + lines * (height + 12) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{total}" '
        f'viewBox="0 0 {WIDTH} {total}" role="img" aria-labelledby="title">',
        '<title id="title">CPU time for a request, by proxy</title>',
        f"<style>{STYLE}</style>",
        text(MARGIN, 26, "CPU time of the proxy for one request", "title"),
        text(MARGIN, 43, "TLS on both sides, one worker; shorter is better", "quiet"),
    ]
    for index, (title, costs) in enumerate(panels):
        x = MARGIN + (index % 2) * (PANEL + GAP)
        y = 58 + (index // 2) * (height + 12)
        parts.extend(panel(x, y, title, costs))
    parts.append(text(MARGIN, total - 12, results["machine"], "quiet"))
    parts.append("</svg>")
    return "\n".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        print(picture(json.load(file)))
