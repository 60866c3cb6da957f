// The GSU's gate of snn_ssm/model/mixing.py by rows (H, M): out = h + GELU(norm(value gate)), h or null.
#pragma once
#include "gelu.h"
#include "norm.h"

template <class S>
void gate_forward(i64 first, i64 last, i64 size, const S* value, const S* gate, const S* weight,
                  const S* bias, double eps, const S* h, S* out, S* mean, S* var) {
    for (i64 r = first; r < last; r++) {
        const S *v = value + r * size, *g = gate + r * size, *add = h ? h + r * size : nullptr;
        S* o = out + r * size;
        for (i64 i = 0; i < size; i++) o[i] = v[i] * g[i];
        moments<S>(size, o, mean[r], var[r]);
        const Normed<S> norm(mean[r], var[r], weight[r], bias[r], eps);
        map<S>(size, [&](V<S> z, V<S> more) { return gelu<S>(norm(z)) + more; }, o, o, add);
    }
}

template <class S>
void gate_backward(i64 first, i64 last, i64 size, const S* grad, const S* value, const S* gate,
                   const S* weight, const S* bias, double eps, const S* mean, const S* var,
                   S* gvalue, S* ggate, S* gweight, S* gbias) {
    for (i64 r = first; r < last; r++) {
        const S *v = value + r * size, *g = gate + r * size, *dout = grad + r * size;
        S *z = gvalue + r * size, *dz = ggate + r * size;  // until both are known
        const Normed<S> norm(mean[r], var[r], weight[r], bias[r], eps);
        for (i64 i = 0; i < size; i++) z[i] = v[i] * g[i];
        map<S>(size, [&](V<S> x, V<S> d) { return d * gelu_slope<S>(norm(x)); }, dz, z, dout);
        norm_gradients<S>(size, dz, z, norm, nullptr, dz, gweight[r], gbias[r]);
        for (i64 i = 0; i < size; i++) {
            const S d = dz[i];
            z[i] = d * g[i];
            dz[i] = d * v[i];
        }
    }
}
