import numpy as np
import pytest
from search_problems import graph_of, random_problem

from wfst_hmm.errors import DataError, UsageError
from wfst_hmm.models.scores import Scores
from wfst_hmm.search.decode import decode
from wfst_hmm.search.parallel import decode_many
from wfst_hmm.search.result import Decoded, NoPath


@pytest.mark.parametrize("n_threads", [1, 3])
def test_results_come_in_order_and_a_bad_one_stops_nothing(n_threads: int) -> None:
    problem = random_problem(7, 6, 3, 5)
    graph = graph_of(problem)
    rng = np.random.default_rng(0)
    good = [Scores(rng.normal(size=(length, 3))) for length in rng.integers(1, 30, 40)]

    def broken() -> Scores:
        raise DataError("no audio", where="utt-3")

    work = [*good[:20], broken, Scores(np.zeros((4, 0))), *good[20:]]
    outcomes = list(decode_many(graph, iter(work), n_threads=n_threads))
    assert len(outcomes) == len(work)
    assert isinstance(outcomes[20], DataError)
    assert isinstance(outcomes[21], DataError)
    for scores, outcome in zip(good, outcomes[:20] + outcomes[22:], strict=True):
        alone = decode(graph, scores)
        assert type(alone) is type(outcome)
        if isinstance(alone, Decoded):
            assert isinstance(outcome, Decoded)
            assert alone.total_cost == outcome.total_cost
            assert alone.labels.tolist() == outcome.labels.tolist()
        else:
            assert isinstance(outcome, NoPath)


def test_threads_must_be_positive() -> None:
    graph = graph_of(random_problem(7, 6, 3, 5))
    with pytest.raises(UsageError):
        list(decode_many(graph, [], n_threads=-1))
