"""NumPy's matrix products, which are not to fight with the network for the cores."""

from functools import cache

from threadpoolctl import ThreadpoolController


def one_blas_thread():
    """`with one_blas_thread():` matrix products run on one core.

    The products here take a millisecond. On more cores they are hardly faster, and their threads go on waiting actively just when
    the network wants the cores: on two cores a video ran at 38 frames/s that way, and at 68 with this.
    """
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller():
    return ThreadpoolController()
