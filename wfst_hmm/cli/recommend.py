"""``recommend``: songs that sound like a tag.

In: songs and a tag. Out: a page of results; a model that scores songs to come.

Public names: `recommend`.
"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.shell import print_json, say, warn
from wfst_hmm.errors import UsageError, WfstHmmError

if TYPE_CHECKING:
    from wfst_hmm.apps.recommendation.library import Library
    from wfst_hmm.apps.recommendation.tag_model import Ranking

__all__ = ["recommend"]


class Form(str, enum.Enum):
    """Forms of the page."""

    text = "text"
    json = "json"
    html = "html"


def recommend(
    songs: Annotated[
        Path, typer.Argument(help="Folder of Million Song Dataset tracks (.h5), or a timbre CSV.")
    ],
    tag: Annotated[
        str | None, typer.Option(help="Genre, mood, decade (1980s) or artist; see --tags.")
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option("--model", "-m", help="Load this model, or train and write it if absent."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep the features here; only new files are read again.")
    ] = None,
    top: Annotated[int, typer.Option(help="Songs of each kind to list.", min=1)] = 20,
    form: Annotated[
        Form | None, typer.Option("--format", help="Of the page; by default as --out is named.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write the page here; else stdout.")
    ] = None,
    components: Annotated[int, typer.Option(help="Gaussians of a mixture.")] = 32,
    adapt: Annotated[
        bool, typer.Option("--adapt", help="Only adapt the background's means: faster.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the split into training and test.")] = 0,
    tags: Annotated[bool, typer.Option("--tags", help="List the tags and leave.")] = False,
    threads: Annotated[int, typer.Option("--threads", "-j", help="Threads.", min=1)] = 1,
) -> None:
    """Rank songs by how much they sound like a tag.

    Example: wfst-hmm recommend songs.csv --tag 1960s --format html --out page.html
    """
    from wfst_hmm.apps.recommendation.library import open_library

    library = open_library(songs, cache=cache, on_error=_skip)
    if tags:
        for name, count in library.tag_counts().items():
            say(f"{count:>7,}  {name}")
        return

    from wfst_hmm.apps.recommendation.tag_model import TagModel, TagOptions, rank, train_tag

    if model is not None and model.exists():
        made = TagModel.load(model)
        if tag is not None and tag.casefold() != made.tag.casefold():
            raise UsageError("the model is of another tag", where=str(model), got=made.tag,
                             expected=tag)  # fmt: skip
    else:
        if tag is None:
            raise UsageError("no tag", where="recommend", fix=_some_tags(library))
        options = TagOptions(n_components=components, adapt=adapt, seed=seed)
        made = train_tag(library, tag, options, n_threads=threads)
        if model is not None:
            made.save(model)
    _show(rank(made, library, top=top, n_threads=threads), form or _form_of(out), out)


def _form_of(out: Path | None) -> Form:
    """Return the form that a file's name promises."""
    suffix = "" if out is None else out.suffix.lower()
    return {".html": Form.html, ".htm": Form.html, ".json": Form.json}.get(suffix, Form.text)


def _some_tags(library: Library) -> str:
    return "Give --tag, for example " + ", ".join(list(library.tag_counts())[:5]) + "."


def _skip(path: str, error: WfstHmmError) -> None:
    warn(f"skipped: {error}")


def _show(ranking: Ranking, form: Form, out: Path | None) -> None:
    from wfst_hmm.apps.recommendation.page import page_html, page_text, page_values
    from wfst_hmm.files import atomic_file, write_json

    if form is Form.json:
        if out is None:
            print_json(page_values(ranking))
        else:
            write_json(out, page_values(ranking))
        return
    page = page_html(ranking) if form is Form.html else page_text(ranking)
    if out is None:
        say(page)
        return
    with atomic_file(out) as temporary:
        temporary.write_text(page if page.endswith("\n") else page + "\n", encoding="utf-8")
