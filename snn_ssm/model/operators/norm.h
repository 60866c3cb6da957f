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

// The sums of dy, and of dy z, z = (x - mean) rate: the gradients of the bias and of the weight.
template <class S> struct Sums {
    double plain, along;
    Sums(i64 size, const S* dy, const S* in, const Normed<S>& norm) {
        const S m = norm.mean;
        plain = total<S>(size, [&](i64 i) { return at(dy + i); }, [&](i64 i) { return dy[i]; });
        along = norm.rate * total<S>(
            size, [&](i64 i) { return at(dy + i) * (at(in + i) - m); },
            [&](i64 i) { return dy[i] * (in[i] - m); });
    }
};

// The gradient of a row x from the means of dy and dy z, with `more` (or null) added; it may take the
// place of dy.
template <class S>
void norm_spread(i64 size, const S* dy, const S* in, const Normed<S>& norm, S less, double along,
                 const S* more, S* gx) {
    const S m = norm.mean, scale = norm.scale, tilt = along * norm.rate;
    if (more)
        for (i64 i = 0; i < size; i++)
            gx[i] = more[i] + scale * (dy[i] - less - (in[i] - m) * tilt);
    else
        for (i64 i = 0; i < size; i++) gx[i] = scale * (dy[i] - less - (in[i] - m) * tilt);
}

// The gradients of a row x, its weight and its bias.
template <class S>
void norm_gradients(i64 size, const S* dy, const S* in, const Normed<S>& norm, const S* more, S* gx,
                    S& gweight, S& gbias) {
    const Sums<S> sums(size, dy, in, norm);
    norm_spread<S>(size, dy, in, norm, sums.plain / size, sums.along / size, more, gx);
    gweight = sums.along;
    gbias = sums.plain;
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

// The same in parts, for a batch of which others have the rest: what they are to know, and what is
// done once all of it is known.
template <class S>
void norm_moments(i64 first, i64 last, i64 size, const S* x, S* mean, S* var) {
    for (i64 h = first; h < last; h++) moments<S>(size, x + h * size, mean[h], var[h]);
}

template <class S>
void norm_apply(i64 first, i64 last, i64 size, const S* x, const S* weight, const S* bias,
                double eps, const S* mean, const S* var, S* y) {
    for (i64 h = first; h < last; h++)
        Normed<S>(mean[h], var[h], weight[h], bias[h], eps).apply(y + h * size, x + h * size, size);
}

template <class S>
void norm_sums(i64 first, i64 last, i64 size, const S* grad, const S* x, double eps, const S* mean,
               const S* var, S* along, S* plain) {
    for (i64 h = first; h < last; h++) {
        const Normed<S> norm(mean[h], var[h], S(1), S(0), eps);
        const Sums<S> sums(size, grad + h * size, x + h * size, norm);
        along[h] = sums.along;
        plain[h] = sums.plain;
    }
}

template <class S>
void norm_gradient(i64 first, i64 last, i64 size, const S* grad, const S* x, const S* weight,
                   double eps, const S* mean, const S* var, const S* along, const S* plain, S* gx) {
    for (i64 h = first; h < last; h++) {
        const Normed<S> norm(mean[h], var[h], weight[h], S(0), eps);
        norm_spread<S>(size, grad + h * size, x + h * size, norm, plain[h], along[h], nullptr,
                       gx + h * size);
    }
}
