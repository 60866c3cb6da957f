// GELU(x) = x P(x) and its derivative P(x) + x p(x), P and p the normal distribution and its density.
#pragma once
#include "vectors.h"

// A vector's P(x) and e^(-x^2 / 2). Of floats by vectors, to 2 units of the last place: e by powers of
// two and a polynomial, and 1 - P(|x|) = e t f(t), t = 1 / (1 + 0.35 |x|), f a polynomial that was
// fitted to the scaled complementary error function at Chebyshev's nodes of 0 <= |x| <= 14.
template <class S> struct Gaussian;

template <> struct Gaussian<float> {
    typedef int32_t Integers __attribute__((vector_size(BYTES), aligned(4), may_alias));
    V<float> below, bell;
    INLINE explicit Gaussian(V<float> x) {
        const V<float> far = x < 0 ? -x : x, a = far < 13 ? far : V<float>{} + 13;
        const V<float> z = a * a * -0.5f;  // >= -84.5, so that e is normal
        const Integers n = __builtin_convertvector(z * 1.44269504f - 0.5f, Integers);
        const V<float> whole = __builtin_convertvector(n, V<float>);
        const V<float> r = (z - whole * 0.693359375f) + whole * 2.12194440e-4f;
        V<float> e = V<float>{} + POWER[6];
        for (int i = 5; i >= 0; i--) e = e * r + POWER[i];
        bell = e * (V<float>)((n + 127) << 23);
        const V<float> t = 1 / (1 + 0.35f * a);
        V<float> f = V<float>{} + FIT[8];
        for (int i = 7; i >= 0; i--) f = f * t + FIT[i];
        const V<float> above = bell * t * f;
        below = x > 0 ? 1 - above : above;
    }

  private:
    static constexpr float POWER[7] = {1, 1, 0.5, 0.166664049, 0.0416661985, 0.00837597065,
                                       0.00139497826};  // e^r, |r| < 0.35
    static constexpr float FIT[9] = {0.13962169, 0.139854908, 0.119899645, 0.10517519,
                                     -0.0221562553, 0.157547444, -0.254084796, 0.143088073,
                                     -0.028945908};
};

template <> struct Gaussian<double> {
    V<double> below, bell;
    INLINE explicit Gaussian(V<double> x) {
        for (int i = 0; i < WIDTH<double>; i++) {
            below[i] = 0.5 * std::erfc(-x[i] * M_SQRT1_2);
            bell[i] = std::exp(-0.5 * x[i] * x[i]);
        }
    }
};

template <class S> INLINE V<S> gelu(V<S> x) { return x * Gaussian<S>(x).below; }

template <class S> INLINE V<S> gelu_slope(V<S> x) {
    const Gaussian<S> found(x);
    return found.below + x * found.bell * S(0.3989422804014327);  // 1 / sqrt(2 pi)
}
