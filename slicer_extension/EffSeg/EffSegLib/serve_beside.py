"""Runs in the engine's Python, not in Slicer's: ``effseg serve`` until the pipe from Slicer is closed."""

import _thread
import os
import sys
import threading
import time

_ENDING_S = 5.0


def _end_with_slicer() -> None:
    while sys.stdin.buffer.read(1):
        pass
    _thread.interrupt_main()
    time.sleep(_ENDING_S)
    os._exit(1)


if __name__ == "__main__":
    from napari_effseg.cli import main

    threading.Thread(target=_end_with_slicer, daemon=True).start()
    sys.exit(main(sys.argv[1:]))
