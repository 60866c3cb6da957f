// Steps and their surrogate gradients, of snn_ssm/model/spiking.py; the equations stand there.
#pragma once
#include "vectors.h"

// The derivatives, in the order of `SURROGATES` in snn_ssm/model/operators/elementwise.py.
template <class S> struct FastSigmoid {
    S slope;
    FastSigmoid(double s) : slope(s) {}
    INLINE S operator()(S y) const { const S q = std::abs(y) * slope + 1; return 1 / (q * q); }
};
template <class S> struct Arctan {
    S slope;
    Arctan(double s) : slope(M_PI / 2 * s) {}
    INLINE S operator()(S y) const { const S q = y * slope; return 1 / (q * q + 1); }
};
template <class S> struct Triangle {
    S slope;
    Triangle(double s) : slope(s) {}
    INLINE S operator()(S y) const { const S q = 1 - std::abs(y) * slope; return q > 0 ? q : 0; }
};

template <class S, class F> INLINE void with_derivative(i64 kind, double slope, F f) {
    if (kind == 0) f(FastSigmoid<S>(slope));
    if (kind == 1) f(Arctan<S>(slope));
    if (kind == 2) f(Triangle<S>(slope));
}

// gx = grad f'(y), any shape: numbers from first to last.
template <class S>
void step_backward(i64 first, i64 last, i64 kind, double slope, const S* grad, const S* y, S* gx) {
    with_derivative<S>(kind, slope, [=](auto derivative) {
        for (i64 i = first; i < last; i++) gx[i] = grad[i] * derivative(y[i]);
    });
}

// s = 1 where y > delta, -1 where -y > delta, else 0, by rows (H, M), delta (H,).
template <class S>
void ternary_forward(i64 first, i64 last, i64 size, const S* y, const S* delta, S* s) {
    for (i64 h = first; h < last; h++)
        for (i64 i = h * size; i < (h + 1) * size; i++)
            s[i] = S(y[i] > delta[h]) - S(-y[i] > delta[h]);
}

template <class S>
void ternary_backward(i64 first, i64 last, i64 size, i64 kind, double slope, const S* grad,
                      const S* y, const S* delta, S* gy, S* gdelta) {
    constexpr i64 BLOCK = 4096;
    with_derivative<S>(kind, slope, [=](auto derivative) {
        S moved[BLOCK];
        for (i64 h = first; h < last; h++) {
            double sum = 0;
            const S level = delta[h];
            for (i64 start = h * size; start < (h + 1) * size; start += BLOCK) {
                const i64 n = std::min(BLOCK, (h + 1) * size - start);
                for (i64 i = 0; i < n; i++) {
                    const S v = y[start + i], g = grad[start + i];
                    const S above = derivative(v - level), below = derivative(-v - level);
                    gy[start + i] = g * (above + below);
                    moved[i] = g * (below - above);
                }
                sum += total<S>(n, [&](i64 i) { return at(moved + i); },
                                [&](i64 i) { return moved[i]; });
            }
            gdelta[h] = sum;
        }
    });
}
