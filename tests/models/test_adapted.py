import numpy as np
import pytest

from wfst_hmm.errors import DataError, ModelError, UsageError
from wfst_hmm.models.adapted import AdaptedModels
from wfst_hmm.models.gmm import GaussianMixture

RNG = np.random.default_rng(0)
DATA = RNG.normal(0, 1, (400, 3)) + RNG.choice([-2.0, 2.0], (400, 1))


@pytest.fixture(scope="module")
def background() -> GaussianMixture:
    mixture = GaussianMixture(4, 3)
    mixture.train(DATA, 5)
    return mixture


def test_ratios_equal_those_of_whole_mixtures(background: GaussianMixture) -> None:
    models = AdaptedModels.of(background)
    for name, shift in (("left", -1.0), ("right", 1.0)):
        models = models.with_name(name, DATA[:100] + shift, relevance=8.0)
    ratios = models.log_ratios(DATA[:50])
    for column, shift in enumerate((-1.0, 1.0)):
        whole = background.adapted(DATA[:100] + shift, relevance=8.0)
        slow = whole.score(DATA[:50]) - background.score(DATA[:50])
        np.testing.assert_allclose(ratios[:, column], slow, atol=2e-5)
    np.testing.assert_allclose(models.mean_log_ratios(DATA[:50]), ratios.mean(axis=0), rtol=1e-5)
    assert models.mean_log_ratios(DATA[:100] - 1.0).argmax() == models.index("left")


def test_a_name_is_added_without_touching_others(background: GaussianMixture) -> None:
    one = AdaptedModels.of(background).with_name("a", DATA[:50], relevance=4.0)
    two = one.with_name("b", DATA[50:90], relevance=4.0)
    again = two.with_name("a", DATA[200:300], relevance=4.0)
    assert two.names == again.names == ("a", "b")
    assert np.array_equal(two.means[0], one.means[0])
    assert np.array_equal(again.means[1], two.means[1])
    assert not np.array_equal(again.means[0], two.means[0])


def test_what_does_not_fit(background: GaussianMixture) -> None:
    models = AdaptedModels.of(background).with_name("anna", DATA[:50], relevance=4.0)
    with pytest.raises(UsageError, match=r"nobody is called 'ana'.*'anna'"):
        models.index("ana")
    with pytest.raises(DataError, match="dimensions"):
        models.log_ratios(np.zeros((2, 5)))
    with pytest.raises(DataError, match="no frames"):
        models.mean_log_ratios(np.zeros((0, 3)))
    with pytest.raises(ModelError, match="'a' occurs twice"):
        AdaptedModels(background, ("a", "a"), np.zeros((2, 4, 3)))
    with pytest.raises(ModelError, match="wrong shape"):
        AdaptedModels(background, ("a",), np.zeros((1, 4, 2)))
    full = GaussianMixture(1, 2, "full", means=[[0.0, 0.0]])
    with pytest.raises(ModelError, match="diagonal"):
        AdaptedModels.of(full)
