"""The command `effseg`: one thin module a verb, which parses, calls, prints, and ends with an exit code.

====  =====================================================================================
code  meaning
====  =====================================================================================
0     done
1     a fault of ours: one line with the path of a log file
2     bad input or usage: one line that says what was given, what was expected, what to do
3     cancelled
4     not enough memory, after smaller windows, half precision and the CPU were tried
====  =====================================================================================

After any code but 0 no output file exists, whole or partial, and an older file of that name is untouched.
"""

from __future__ import annotations

from ._app import main

__all__ = ["main"]
