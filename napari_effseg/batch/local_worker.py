"""The other end of a local pool: takes cases from a pipe until it closes."""

from __future__ import annotations

import contextlib
import logging
import signal
from multiprocessing.connection import Connection

from .work import Task, do_case

__all__ = ["THREAD_VARIABLES", "serve"]

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""What the libraries read when they are loaded."""


def serve(connection: Connection, threads: int) -> None:
    """Do cases until the other end stops asking, closes the pipe, or is gone.

    Parameters
    ----------
    connection : Connection
        Brings tasks, and anything else to stop; takes results.
    threads : int
        That torch computes with.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who hands out the cases
    logging.captureWarnings(True)  # libraries' own warnings are for developers
    logging.getLogger("py.warnings").addHandler(logging.NullHandler())
    import torch

    torch.set_num_threads(threads)
    with contextlib.suppress(EOFError, OSError):
        while isinstance(task := connection.recv(), Task):
            connection.send(
                do_case(task, cancel=connection.poll)
            )  # any word in the midst of a case is "stop"
