"""One page of recommendations: text, JSON-ready values, or HTML with bars.

In: a `Ranking`. Out: a text. The HTML needs no script, style sheet or font from elsewhere; all
that comes from songs is escaped.

Public names: `page_html`, `page_text`, `page_values`.
"""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Sequence
from typing import Any

from wfst_hmm.apps.recommendation.tag_model import Hit, Ranking
from wfst_hmm.draw.palette import BLUE, GREY, INK, ORANGE, PALE_GREY, PAPER

__all__ = ["page_html", "page_text", "page_values"]

_BAR = 16  # characters


def page_values(ranking: Ranking) -> dict[str, Any]:
    """Return the ranking as plain values for JSON."""
    return dataclasses.asdict(ranking)


def page_text(ranking: Ranking) -> str:
    """Return the ranking as lines of text with bars."""
    lines = [f"Songs that sound like {ranking.tag!r}: {_summary(ranking)}"]
    largest = _largest(ranking)
    for title, hits, n in _lists(ranking):
        lines += ["", f"{title}, {len(hits)} of {n:,}:"]
        for place, hit in enumerate(hits, start=1):
            bar = "█" * round(_BAR * abs(hit.score) / largest)
            year = f" ({hit.year})" if hit.year else ""
            lines.append(f"{place:>3}  {hit.score:+.3f}  {bar:<{_BAR}}  "
                         f"{hit.artist} - {hit.title}{year}")  # fmt: skip
    return "\n".join(lines)


def page_html(ranking: Ranking) -> str:
    """Return the ranking as one self-contained HTML page."""
    low, high = _range(ranking)
    body = [f"<h1>Songs that sound like “{html.escape(ranking.tag)}”</h1>",
            f"<p>{html.escape(_summary(ranking))}</p>"]  # fmt: skip
    for title, hits, n in _lists(ranking):
        body.append(f"<h2>{title}</h2><p>{len(hits)} of {n:,}</p><table>")
        body += [_row(place, hit, low, high) for place, hit in enumerate(hits, start=1)]
        body.append("</table>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(ranking.tag)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


_STYLE = (
    f"body{{font:15px/1.4 Verdana,'DejaVu Sans',sans-serif;color:{INK};background:{PAPER};"
    "max-width:52em;margin:2em auto;padding:0 1em}h1{font-size:1.4em}h2{font-size:1.1em}"
    f"p,.y{{color:{GREY}}}table{{border-collapse:collapse;width:100%}}"
    f"td{{padding:.2em .5em;border-bottom:1px solid {PALE_GREY}}}.n{{text-align:right;"
    f"color:{GREY}}}.b{{width:35%}}.b div{{height:.8em}}.up{{background:{BLUE}}}"
    f".down{{background:{ORANGE}}}"
)


def _row(place: int, hit: Hit, low: float, high: float) -> str:
    # All bars start from one zero: negative ones grow to the left of it.
    span = (high - low) or 1.0
    width = 100.0 * abs(hit.score) / span
    left = 100.0 * (min(hit.score, 0.0) - low) / span
    kind = "up" if hit.score >= 0 else "down"
    year = f' <span class="y">{hit.year}</span>' if hit.year else ""
    return (
        f'<tr><td class="n">{place}</td><td>{html.escape(hit.artist)} – '
        f'{html.escape(hit.title)}{year}</td><td class="n">{hit.score:+.3f}</td>'
        f'<td class="b"><div class="{kind}" '
        f'style="margin-left:{left:.1f}%;width:{width:.1f}%"></div></td></tr>'
    )


def _lists(ranking: Ranking) -> tuple[tuple[str, Sequence[Hit], int], ...]:
    return (
        ("Held-out songs with the tag", ranking.held_out, ranking.n_held_out),
        ("Songs without the tag", ranking.untagged, ranking.n_untagged),
    )


def _range(ranking: Ranking) -> tuple[float, float]:
    scores = [hit.score for hit in (*ranking.held_out, *ranking.untagged)]
    return min([0.0, *scores]), max([0.0, *scores])


def _largest(ranking: Ranking) -> float:
    scores = [abs(hit.score) for hit in (*ranking.held_out, *ranking.untagged)]
    return max(scores, default=0.0) or 1.0


def _summary(ranking: Ranking) -> str:
    text = (f"{100 * ranking.precision:.0f} % of the first {ranking.n_first} of all unheard songs have the tag "
            f"(chance {100 * ranking.chance:.1f} %)")  # fmt: skip
    if not math.isnan(ranking.area_under_curve):
        text += f", area under the ROC curve {ranking.area_under_curve:.3f}"
    return text + "; scores are log-likelihood ratios in nats a segment."
