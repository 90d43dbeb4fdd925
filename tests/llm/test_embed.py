"""A vector is a direction of the right length, or an error."""

from __future__ import annotations

import numpy as np
import pytest

from teachback.llm.embed import BadVectors, checked, embed_async
from teachback.llm.minilm import MiniLM


@pytest.mark.parametrize(
    "given",
    [[[0.0, 0.0]], [[float("nan"), 1.0]], [[float("inf"), 1.0]], [[1.0]], [[1.0, 0.0, 0.0]], []],
    ids=["zero", "nan", "infinite", "short", "long", "missing"],
)
def test_vector_is_refused_when_it_is_no_direction(given: list[list[float]]) -> None:
    """Nothing is kept that would be near to everything, or to nothing."""
    with pytest.raises(BadVectors):
        checked(np.array(given, np.float32), texts=1, dimensions=2, model="m")


def test_vector_of_any_length_becomes_a_unit() -> None:
    """Very large and very small numbers still have a direction."""
    given = np.array([[3e38, 3e38], [0.0, 1e-40]], np.float32)
    units = checked(given, texts=2, dimensions=2, model="m")
    assert units == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [0, 1]]), abs=1e-3)


@pytest.mark.anyio
async def test_embedding_leaves_the_loop_free() -> None:
    """A coroutine asks for vectors as a thread would."""
    vectors = await embed_async(MiniLM(), ["one", "two"])
    assert vectors.shape == (2, 384)
