// The batch norm of snn_ssm/model/norms.py over rows (H, M); its equations stand there.
#pragma once
#include "vectors.h"

// What a norm makes of x: (x - mean) scale + shift, scale = weight rate. Of no norm, x.
template <class S> struct Normed {
    S mean = 0, scale = 1, shift = 0, rate = 1;
    Normed() {}
    Normed(S m, S var, S weight, S bias, double eps)
        : mean(m), scale(weight / std::sqrt(var + eps)), shift(bias), rate(1 / std::sqrt(var + eps)) {}
    template <class X> INLINE X operator()(X x) const { return (x - mean) * scale + shift; }
    void apply(S* to, const S* from, i64 n) const {
        for (i64 i = 0; i < n; i++) to[i] = (*this)(from[i]);
    }
};

template <class S> void moments(i64 size, const S* in, S& mean, S& var) {
    const S m = mean = total<S>(size, [&](i64 i) { return at(in + i); },
                                [&](i64 i) { return in[i]; }) / size;
    var = total<S>(size, [&](i64 i) { const V<S> c = at(in + i) - m; return c * c; },
                   [&](i64 i) { const S c = in[i] - m; return c * c; }) / size;
}

// The gradients of a row x, its weight and its bias, with `more` (or null) added to that of x, which
// may take the place of dy.
template <class S>
void norm_gradients(i64 size, const S* dy, const S* in, const Normed<S>& norm, const S* more, S* gx,
                    S& gweight, S& gbias) {
    const S m = norm.mean, r = norm.rate;
    const double sum = total<S>(size, [&](i64 i) { return at(dy + i); },
                                [&](i64 i) { return dy[i]; });
    const double along = r * total<S>(
        size, [&](i64 i) { return at(dy + i) * (at(in + i) - m); },
        [&](i64 i) { return dy[i] * (in[i] - m); });
    const S scale = norm.scale, less = sum / size, tilt = along / size * r;
    if (more)
        for (i64 i = 0; i < size; i++)
            gx[i] = more[i] + scale * (dy[i] - less - (in[i] - m) * tilt);
    else
        for (i64 i = 0; i < size; i++) gx[i] = scale * (dy[i] - less - (in[i] - m) * tilt);
    gweight = along;
    gbias = sum;
}

template <class S>
void norm_forward(i64 first, i64 last, i64 size, const S* x, const S* weight, const S* bias,
                  double eps, S* y, S* mean, S* var) {
    for (i64 h = first; h < last; h++) {
        moments<S>(size, x + h * size, mean[h], var[h]);
        const Normed<S> norm(mean[h], var[h], weight[h], bias[h], eps);
        norm.apply(y + h * size, x + h * size, size);
    }
}

template <class S>
void norm_backward(i64 first, i64 last, i64 size, double eps, const S* grad, const S* x,
                   const S* weight, const S* mean, const S* var, S* gx, S* gweight, S* gbias) {
    for (i64 h = first; h < last; h++) {
        const Normed<S> norm(mean[h], var[h], weight[h], S(0), eps);
        norm_gradients<S>(size, grad + h * size, x + h * size, norm, nullptr, gx + h * size,
                          gweight[h], gbias[h]);
    }
}
