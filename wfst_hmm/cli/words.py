"""``words``: train, test and use a recognizer of isolated words.

In: folders named after words, recordings. Out: a model directory; accuracy, confusions, words.

Public names: `app`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wfst_hmm.cli.parameters import Channel, Json, Raw, Resample
from wfst_hmm.cli.shell import console, fail, print_json, progress, warn
from wfst_hmm.errors import WfstHmmError

if TYPE_CHECKING:
    from wfst_hmm.apps.words import WordTest

__all__ = ["app"]

app = typer.Typer(help="Recognize isolated words: one GMM-HMM for each.", no_args_is_help=True)

Model = Annotated[Path, typer.Option("--model", "-m", help="Directory of the word models.")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Threads.")]
Picture = Annotated[
    Path | None, typer.Option("--picture", help="Write the confusion matrix: .svg, .png or .pdf.")
]
_MODEL = Path("words-model")


@app.command("train")
def train(
    folder: Annotated[Path, typer.Argument(help="A folder with one sub-folder for each word.")],
    model: Model = _MODEL,
    held_out: Annotated[
        float, typer.Option(help="Share of each word kept for the test; 0 trains on all.")
    ] = 0.1,
    states: Annotated[int, typer.Option(help="HMM states of a word.")] = 10,
    mixtures: Annotated[int, typer.Option(help="Gaussians of a state.")] = 8,
    iterations: Annotated[int, typer.Option(help="Passes of Baum-Welch.")] = 15,
    floor: Annotated[float, typer.Option(help="Smallest variance, as a share of all.")] = 0.05,
    full: Annotated[bool, typer.Option("--full", help="Full covariances.")] = False,
    seed: Annotated[int, typer.Option(help="Of the split and of the starts.")] = 0,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    jobs: Jobs = 1,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Train on a folder named after words, and test on a part held out.

    Example: wfst-hmm words train recordings/ --model words-model
    """
    from wfst_hmm.apps import words
    from wfst_hmm.models.word_models import WordOptions

    options = WordOptions(n_states=states, n_mixtures=mixtures, n_iterations=iterations,
                                floor=floor, full=full, seed=seed)  # fmt: skip
    corpus = words.word_corpus(folder).recorded(channel, raw)
    rest, test = words.held_out(corpus, held_out, seed=seed) if held_out else (corpus, None)
    with progress("words") as advance:
        models = words.train_words(rest, None, options, resample=resample, n_workers=jobs, on_error=_skip,
                                   on_word=advance)  # fmt: skip
    models.save(model)
    if test is None:
        facts = {"model": str(model), "words": len(models.words), "recordings": len(rest)}
        if as_json:
            print_json(facts)
        else:
            typer.echo(f"{model}: {len(models.words)} words from {len(rest)} recordings")
        return
    if not as_json:
        typer.echo(f"{model}: {len(models.words)} words from {len(rest)} recordings; held out:")
    _report(
        words.evaluate_words(models, test, resample=resample, n_workers=jobs, on_error=_skip),
        picture,
        as_json,
    )


@app.command("test")
def evaluate(
    folder: Annotated[Path, typer.Argument(help="A folder with one sub-folder for each word.")],
    model: Model = _MODEL,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    jobs: Jobs = 1,
    picture: Picture = None,
    as_json: Json = False,
) -> None:
    """Recognize recordings whose words are known; print accuracy and confusions.

    Example: wfst-hmm words test recordings/ --model words-model --picture confusion.svg
    """
    from wfst_hmm.apps import words
    from wfst_hmm.models.word_models import WordModels

    models = WordModels.load(model)
    corpus = words.word_corpus(folder).recorded(channel, raw)
    _report(
        words.evaluate_words(models, corpus, resample=resample, n_workers=jobs, on_error=_skip),
        picture,
        as_json,
    )


@app.command("recognize")
def recognize(
    files: Annotated[list[Path], typer.Argument(help="Recordings of one word each.")],
    model: Model = _MODEL,
    resample: Resample = False,
    channel: Channel = None,
    raw: Raw = None,
    jobs: Jobs = 1,
    as_json: Json = False,
) -> None:
    """Say which word each recording holds.

    Example: wfst-hmm words recognize seven.wav --model words-model
    """
    from wfst_hmm.apps.words import recognize_words
    from wfst_hmm.models.word_models import WordModels

    found = recognize_words(WordModels.load(model), files, resample=resample, channel=channel,
                            raw=raw, n_workers=jobs, on_error=_skip)  # fmt: skip
    if as_json:
        print_json([
            {"file": str(path), "word": guess.word, "log_likelihood": guess.log_likelihood,
             "runner_up": guess.runner_up, "margin": guess.margin}
            for path, guess in found
        ])  # fmt: skip
    else:
        for path, guess in found:
            other = f"{guess.runner_up}, {guess.margin:.2f} nats a frame behind"
            typer.echo(f"{path}\t{guess.word}" + (f"\t({other})" if guess.runner_up else ""))
    if len(found) < len(files):
        raise fail(f"{len(files) - len(found)} of {len(files)} recordings could not be used")


def _skip(id_: str, error: WfstHmmError) -> None:
    warn(f"skipped: {error}")


def _report(result: WordTest, picture: Path | None, as_json: bool) -> None:
    if picture is not None:
        from wfst_hmm.draw.confusion import confusion_svg
        from wfst_hmm.draw.render import save_svg

        title = f"accuracy {100 * result.accuracy:.2f} % of {result.n_recordings} recordings"
        save_svg(confusion_svg(result.counts, result.words, title=title), picture)
    if as_json:
        print_json({
            "recordings": result.n_recordings, "errors": result.n_errors,
            "accuracy": result.accuracy, "words": list(result.words),
            "confusions": result.counts.tolist(),
            "mistakes": [{"file": str(u.audio), "said": (u.words or ("",))[0],
                          "recognized": g.word, "margin": g.margin} for u, g in result.mistakes],
        })  # fmt: skip
        return
    console().print(result.table(), markup=False, no_wrap=True, crop=False, overflow="ignore")
    for utterance, guess in result.mistakes[:20]:
        typer.echo(f"{utterance.audio}: {guess.word} ({guess.margin:.2f} nats a frame ahead)")
    if len(result.mistakes) > 20:
        typer.echo(f"... and {len(result.mistakes) - 20} more")
    typer.echo(f"accuracy {100 * result.accuracy:.2f} % ({result.n_errors} wrong of "
               f"{result.n_recordings} recordings)")  # fmt: skip
