// The batch norm of snn_ssm/model/norms.py over rows (H, M); its equations stand there.
#pragma once
#include "vectors.h"

template <class S>
void norm_forward(i64 first, i64 last, i64 size, const S* x, const S* weight, const S* bias,
                  double eps, S* y, S* mean, S* var) {
    for (i64 h = first; h < last; h++) {
        const S* in = x + h * size;
        S* out = y + h * size;
        const S m = total<S>(size, [&](i64 i) { return at(in + i); },
                             [&](i64 i) { return in[i]; }) / size;
        const double v = total<S>(
            size, [&](i64 i) { const V<S> c = at(in + i) - m; return c * c; },
            [&](i64 i) { const S c = in[i] - m; return c * c; }) / size;
        const S scale = weight[h] / std::sqrt(v + eps), shift = bias[h];
        for (i64 i = 0; i < size; i++) out[i] = (in[i] - m) * scale + shift;
        mean[h] = m;
        var[h] = v;
    }
}

template <class S>
void norm_backward(i64 first, i64 last, i64 size, const S* grad, const S* x, const S* weight,
                   const S* mean, const S* rate, S* gx, S* gweight, S* gbias) {
    for (i64 h = first; h < last; h++) {
        const S *dy = grad + h * size, *in = x + h * size;
        S* out = gx + h * size;
        const S m = mean[h], r = rate[h];
        const double sum = total<S>(size, [&](i64 i) { return at(dy + i); },
                                    [&](i64 i) { return dy[i]; });
        const double along = r * total<S>(
            size, [&](i64 i) { return at(dy + i) * (at(in + i) - m); },
            [&](i64 i) { return dy[i] * (in[i] - m); });
        const S scale = weight[h] * r, less = sum / size, tilt = along / size * r;
        for (i64 i = 0; i < size; i++) out[i] = scale * (dy[i] - less - (in[i] - m) * tilt);
        gweight[h] = along;
        gbias[h] = sum;
    }
}
