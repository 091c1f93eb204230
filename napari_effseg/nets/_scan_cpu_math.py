"""Exponential, softplus and logistic function of vectors, for the compiled loops of the selective scan.

Powers of 2 are computed as 2**x = 2**n (1 + f q(f)) with n the integer nearest to x and f = x - n in
[-0.5, 0.5]; q is a polynomial. NaN stays NaN everywhere: no instruction here assumes finite numbers.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call"
# Numba infers the types of these functions; vectors have no Python type.

from __future__ import annotations

import math

from ._numba_cache import inlined
from ._simd import absolute, add, choose_greater, constant, div, exponent_factor, fma, mul, polynomial, sub

__all__ = [
    "ORDINARY",
    "SMALL",
    "decay_factor",
    "decay_factor_any",
    "decay_less_one",
    "ln2",
    "log2e",
    "logistic",
    "one",
    "softplus",
    "softplus_with_slope",
]

SMALL = 0.5
"""Largest |dt * A|, in base 2, of which `decay_less_one` is good."""
ORDINARY = 120.0
"""Largest |dt * A|, in base 2, of which `decay_factor` is good: 2**x is a normal number."""

_LN2 = math.log(2.0)


def _same(value: float) -> dict[str, float]:
    return {"float32": value, "float64": value}


one = constant(_same(1.0))
ln2 = constant(_same(_LN2))
_two = constant(_same(2.0))
_nothing = constant(_same(0.0))
log2e = constant(_same(1 / _LN2))
_minus_log2e = constant(_same(-1 / _LN2))
_linear_from = constant(_same(20.0))  # where softplus becomes linear, as in torch
# Adding this rounds to an integer, which then stands, biased, in the lowest bits of the mantissa.
_rounder = constant({"float32": 1.5 * 2**23 + 127, "float64": 1.5 * 2**52 + 1023})
_lowest = constant({"float32": -127.0, "float64": -1023.0})  # 2**this becomes 0
_highest = constant({"float32": 128.0, "float64": 1024.0})  # 2**this becomes inf
_TAYLOR = tuple(_LN2 ** (k + 1) / math.factorial(k + 1) for k in range(13))
# q(f) = (2**f - 1) / f on [-0.5, 0.5]; in float32 minimax: of degree 5 with relative error 1.1e-8 in q,
# and of degree 4 with relative error 9e-8 in 1 + f q; in float64 Taylor of degree 12 (1e-17).
_quotient = polynomial(
    {
        "float32": (
            0.6931471824645996,
            0.24022649228572845,
            0.05550357326865196,
            0.009618237614631653,
            0.0013390735257416964,
            0.00015403512225020677,
        ),
        "float64": _TAYLOR,
    }
)
_short_quotient = polynomial(
    {
        "float32": (
            0.6931470036506653,
            0.24022242426872253,
            0.05550733581185341,
            0.009671512991189957,
            0.001326472731307149,
        ),
        "float64": _TAYLOR,
    }
)
# atanh(s) / s as a polynomial in s**2 on [0, 1/9]: relative minimax of degree 4 (4e-9); Taylor of degree 15.
_atanh_quotient = polynomial(
    {
        "float32": (
            1.0,
            0.3333315849304199,
            0.20012454688549042,
            0.13980300724506378,
            0.1408916711807251,
        ),
        "float64": tuple(1.0 / (2 * k + 1) for k in range(16)),
    }
)


@inlined
def decay_less_one(dt, A):
    """2**(dt * A) - 1 where |dt * A| <= `SMALL`: exact for slow decays, and needs no rounding to n."""
    x = mul(dt, A)
    return mul(x, _quotient(x))


@inlined
def decay_factor(dt, A):
    """2**(dt * A) where |dt * A| <= `ORDINARY`."""
    shifted = fma(dt, A, _rounder(dt))
    f = fma(dt, A, sub(_rounder(dt), shifted))
    return mul(fma(f, _short_quotient(f), one(f)), exponent_factor(shifted))


@inlined
def decay_factor_any(dt, A):
    """2**(dt * A), 0 or inf where that under- or overflows."""
    return _exp2(mul(dt, A))


@inlined
def _exp2(x):
    """2**x, 0 or inf where that under- or overflows."""
    x = choose_greater(_lowest(x), x, _lowest(x), x)
    x = choose_greater(x, _highest(x), _highest(x), x)
    return decay_factor(x, one(x))


@inlined
def softplus(v):
    """log(1 + exp(v)) to a small relative error at both ends; v itself above 20."""
    e = _exp2(mul(_minus_log2e(v), absolute(v)))
    return _softplus_of(v, e, div(one(v), add(_two(v), e)))


@inlined
def softplus_with_slope(v):
    """Return `softplus` and its derivative: the logistic function, 1 above 20."""
    e = _exp2(mul(_minus_log2e(v), absolute(v)))
    first, second = add(one(v), e), add(_two(v), e)
    inverse = div(one(v), mul(first, second))
    logistic_of_magnitude = mul(inverse, second)
    slope = choose_greater(v, _nothing(v), logistic_of_magnitude, mul(e, logistic_of_magnitude))
    slope = choose_greater(v, _linear_from(v), one(v), slope)
    return _softplus_of(v, e, mul(inverse, first)), slope


@inlined
def _softplus_of(v, e, inverse):
    """Softplus of v, given e = exp(-|v|) and 1 / (2 + e)."""
    s = mul(e, inverse)  # log(1 + e) = 2 atanh(e / (2 + e))
    log1p = mul(add(s, s), _atanh_quotient(mul(s, s)))
    smooth = add(choose_greater(v, _nothing(v), v, _nothing(v)), log1p)
    return choose_greater(v, _linear_from(v), v, smooth)


@inlined
def logistic(v):
    """1 / (1 + exp(-v))."""
    return div(one(v), add(one(v), _exp2(mul(_minus_log2e(v), v))))
