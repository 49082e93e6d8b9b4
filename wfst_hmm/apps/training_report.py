"""One page about a training: likelihood, Gaussians, states, silence, utterances to listen to.

In: the models of its stages. Out: HTML that needs nothing from elsewhere; pictures are SVG.

Public names: `training_report`, `write_report`.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wfst_hmm.draw.curves import Curve, curves_svg
from wfst_hmm.draw.palette import GREY, INK, PALE_GREY, PAPER
from wfst_hmm.errors import DataError, WfstHmmError
from wfst_hmm.files import atomic_file
from wfst_hmm.models.context_model import ContextModel
from wfst_hmm.models.loading import SpeechModel, load_model
from wfst_hmm.training.recipe import RECIPES

__all__ = ["training_report", "write_report"]

_N_SHOWN = 20
_STYLE = f"""
body{{font:15px/1.45 sans-serif;color:{INK};background:{PAPER};max-width:980px;margin:2em auto;
padding:0 1em}}table{{border-collapse:collapse;margin:.5em 0 1.5em}}
td,th{{padding:.2em .8em;border-bottom:1px solid {PALE_GREY};text-align:left}}
td.n,th.n{{text-align:right}}p.s{{color:{GREY}}}svg{{margin:0 8px 8px 0}}
"""


def training_report(models: Mapping[str, SpeechModel], title: str = "Training") -> str:
    """Return the page.

    Parameters
    ----------
    models : mapping of str to AcousticModel or ContextModel
        Stages by name, in order; each with ``info["training"]``.
    title : str

    Raises
    ------
    DataError
        No model tells of its training.
    """
    told = {name: m for name, m in models.items() if m.info.get("training", {}).get("passes")}
    if not told:
        raise DataError("no model tells of its training", got=", ".join(models) or "none")
    last = told[list(told)[-1]]
    training = last.info["training"]
    body = [
        f"<h1>{html.escape(title)}</h1>",
        f'<p class="s">{training["n_utterances"]:,} utterances, {training["n_frames"]:,} frames; '
        f"{len(training['skipped'])} left out.</p>",
        _stages(told),
        _pictures(told),
        _odd(told),
        _skipped(training["skipped"]),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def write_report(model: str | Path) -> Path | None:
    """Write the page of a model and its stages beside them; return its path.

    The page of ``MODEL`` is ``MODEL.stages/report.html``; None where there are no stages.
    """
    model = Path(model)
    folder = model.parent / f"{model.name}.stages"
    found: dict[str, SpeechModel] = {}
    for name in RECIPES:
        try:
            found[name] = load_model(folder / name)
        except WfstHmmError:
            continue
    if not found:
        return None
    page = training_report(found, f"Training of {model.name}")
    with atomic_file(folder / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return folder / "report.html"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return an HTML table; numbers are set to the right."""

    def cell(tag: str, value: Any) -> str:
        number = not isinstance(value, str)
        text = f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if number else value
        return f"<{tag}{' class=n' if number else ''}>{html.escape(text)}</{tag}>"

    lines = ["".join(cell("td", value) for value in row) for row in rows]
    top = "".join(f"<th>{html.escape(name)}</th>" for name in head)
    return f"<table><tr>{top}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _facts(model: SpeechModel) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = model.info["training"].get("diagnostics", {})
    return facts


def _stages(models: Mapping[str, SpeechModel]) -> str:
    rows = []
    for name, model in models.items():
        passes = model.info["training"]["passes"]
        facts = _facts(model)
        quiet = f"{100 * facts['silence_share']:.1f} %" if facts else ""
        rows.append([
            name, model.n_columns, model.n_gaussians, len(passes),
            round(passes[-1]["log_likelihood"], 3), quiet, len(passes[-1]["unaligned"]),
            sum(p["n_floored"] for p in passes[-1:]),
        ])  # fmt: skip
    head = ("stage", "states", "Gaussians", "passes", "log-likelihood a frame", "silence",
            "utterances without a path", "variances at the floor")  # fmt: skip
    return "<h2>Stages</h2>" + _table(head, rows)


def _pictures(models: Mapping[str, SpeechModel]) -> str:
    parts = ["<h2>Passes</h2>"]
    for name, model in models.items():
        passes = model.info["training"]["passes"]
        points = tuple((float(p["number"]), float(p["log_likelihood"])) for p in passes)
        parts.append(curves_svg([Curve(name, points)], title=f"{name}: log-likelihood a frame",
                                x="pass", y="nats"))  # fmt: skip
    parts.append(curves_svg(
        [Curve(name, tuple((float(p["number"]), float(p["n_gaussians"]))
                           for p in model.info["training"]["passes"]))
         for name, model in models.items()],
        title="Gaussians", x="pass",
    ))  # fmt: skip
    occupied = []
    for name, model in models.items():
        counts = sorted(_facts(model).get("occupancy", ()), reverse=True)
        if counts:
            occupied.append(Curve(name, tuple((float(i + 1), c) for i, c in enumerate(counts))))
    if occupied:
        parts.append("<h2>States</h2>")
        parts.append(curves_svg(occupied, title="Frames of each tied state, the fullest first",
                                x="tied state", y="frames", log=True))  # fmt: skip
    trees = {n: m.tree for n, m in models.items() if isinstance(m, ContextModel) and m.tree}
    for name, tree in trees.items():
        leaves: dict[str, int] = {}
        for item in tree.items():
            leaves[item.phone] = leaves.get(item.phone, 0) + (item.leaf >= 0)
        most = sorted(leaves.items(), key=lambda pair: -pair[1])
        text = ", ".join(f"{phone} {n}" for phone, n in most)
        parts.append(f"<p><b>{name}</b>: leaves by phone: {html.escape(text)}</p>")
    return "\n".join(parts)


def _odd(models: Mapping[str, SpeechModel]) -> str:
    name, model = list(models.items())[-1]
    facts = _facts(model)
    if not facts:
        return ""
    rows = [[id_, float(below), f"{100 * quiet:.0f} %"]
            for id_, below, quiet in facts["worst"][:_N_SHOWN]]  # fmt: skip
    speakers = [[speaker, n, float(likelihood)] for speaker, n, likelihood in facts["speakers"]]
    unaligned = facts["unaligned"]
    lost = f"<p>Without a path: {html.escape(' '.join(unaligned[:100]))}</p>" if unaligned else ""
    return (
        f"<h2>Utterances that fit least ({name})</h2><p class=s>Log-likelihood a frame below the "
        "mean of the speaker: listen to them, their transcripts may be wrong.</p>"
        + _table(("utterance", "nats below", "silence"), rows)
        + lost
        + f"<h2>Speakers ({name})</h2>"
        + _table(("speaker", "frames", "log-likelihood a frame"), speakers)
    )


def _skipped(skipped: Sequence[Sequence[str]]) -> str:
    if not skipped:
        return ""
    shown = [[id_, reason] for id_, reason in skipped[:100]]
    more = f"<p>and {len(skipped) - 100} more</p>" if len(skipped) > 100 else ""
    return "<h2>Left out</h2>" + _table(("utterance", "why"), shown) + more
