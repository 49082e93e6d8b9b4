"""The synthesizer says the same thing twice."""

import numpy as np
import pytest

from wfst_hmm.apps.synthesizer import Synthesizer
from wfst_hmm.errors import DataError, UsageError


def test_two_synthesizers_agree_to_the_bit() -> None:
    said = []
    for _ in range(2):
        with Synthesizer(seed=3) as synthesizer:
            said.append([synthesizer.say("one two", voice=v) for v in ("en-us", "en-us+f2")])
    for first, second in zip(*said, strict=True):
        np.testing.assert_array_equal(first.samples, second.samples)
    man, woman = said[0]
    assert man.rate == 22050
    assert 0.4 < man.seconds < 2.0
    assert np.abs(man.samples).max() > 0.1
    assert not np.array_equal(man.samples, woman.samples)


def test_speed_and_bad_requests() -> None:
    with Synthesizer() as synthesizer:
        slow = synthesizer.say("seven nine", speed=100)
        fast = synthesizer.say("seven nine", speed=250)
        assert slow.seconds > 1.5 * fast.seconds
        with pytest.raises(UsageError, match="unknown voice; got 'xx-nowhere'"):
            synthesizer.say("one", voice="xx-nowhere")
        with pytest.raises(UsageError, match="speed or pitch"):
            synthesizer.say("one", speed=10)
        with pytest.raises(DataError, match="a text without sound"):
            synthesizer.say("")
