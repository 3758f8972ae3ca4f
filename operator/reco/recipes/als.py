"""Alternating least squares by the library `implicit`, which is not needed for anything else."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse


def item_factors(
    seen: sparse.csc_array,
    *,
    factors: int,
    regularization: float,
    alpha: float,
    iterations: int,
    seed: int,
    threads: int,
) -> NDArray[np.float32]:
    """Return items x dimensions for the users x items table of ones.

    The same seed gives the same bytes on any number of threads: each row is solved by itself.
    Raises RuntimeError where `implicit` is not installed.
    """
    try:
        from implicit.cpu.als import AlternatingLeastSquares  # noqa: PLC0415 - an optional extra
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - comes with implicit
    except ImportError as error:
        raise RuntimeError(
            "reco-als needs the library implicit, which is not installed; install reco[engine]"
        ) from error
    # Its own threads and those of BLAS get in each other's way, ten times slower.
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=alpha,
            iterations=iterations,
            num_threads=threads,
            random_state=seed,
        )
        model.fit(sparse.csr_matrix(seen), show_progress=False)
    found: NDArray[np.float32] = model.item_factors
    # An item without users keeps what it was drawn with; it has no place but that of its likes.
    found[np.diff(seen.indptr) == 0] = 0
    return found
