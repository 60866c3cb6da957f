// The operators by name, for float (f32) and double (f64): plain C on arrays of numbers, with no
// header of torch's and for no version of it. Each does its part from `first` to `last` (channels,
// columns or numbers), so that threads share the work.
#include "vectors.h"

#include "chunks.h"
#include "gate.h"
#include "mix.h"
#include "norm.h"
#include "spikes.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

#define DEFINE(S, NAME)                                                                            \
    EXPORT void tables_forward_##NAME(i64 first, i64 last, const Sizes* z, const double* abar,      \
                                      const double* g, const double* d, S* k, S* enter,             \
                                      S* enter_t, S* leave, S* leave_t, S* decay) {                 \
        tables_forward<S>(first, last, *z, abar, g, d, k, enter, enter_t, leave, leave_t, decay);   \
    }                                                                                               \
    EXPORT void tables_backward_##NAME(i64 first, i64 last, const Sizes* z, const double* abar,     \
                                       const double* g, const S* gk, const S* genter,               \
                                       const S* gleave_t, const S* gdecay, double* gabar,           \
                                       double* gg, double* gd) {                                    \
        tables_backward<S>(first, last, *z, abar, g, gk, genter, gleave_t, gdecay, gabar, gg, gd);  \
    }                                                                                               \
    EXPORT void chunks_forward_##NAME(i64 first, i64 last, const Sizes* z, const S* u,              \
                                      const S* weight, const S* bias, double eps, const S* k,       \
                                      const S* enter, const S* leave, const S* decay, S* y,         \
                                      S* states, S* mean, S* var) {                                 \
        chunks_forward<S>(first, last, *z, u, weight, bias, eps, k, enter, leave, decay, y, states, \
                          mean, var);                                                               \
    }                                                                                               \
    EXPORT void chunks_backward_##NAME(                                                             \
        i64 first, i64 last, const Sizes* z, const S* grad, const S* u, const S* weight,            \
        const S* bias, double eps, const S* mean, const S* var, const S* more, const S* states,     \
        const S* k, const S* enter_t, const S* leave_t, const S* decay, S* gu, S* gweight,          \
        S* gbias, S* gk, S* genter, S* gleave_t, S* gdecay) {                                       \
        chunks_backward<S>(first, last, *z, grad, u, weight, bias, eps, mean, var, more, states, k, \
                           enter_t, leave_t, decay, gu, gweight, gbias, gk, genter, gleave_t,       \
                           gdecay);                                                                 \
    }                                                                                               \
    EXPORT void norm_forward_##NAME(i64 first, i64 last, i64 size, double eps, const S* x,          \
                                    const S* weight, const S* bias, S* y, S* mean, S* var) {        \
        norm_forward<S>(first, last, size, x, weight, bias, eps, y, mean, var);                     \
    }                                                                                               \
    EXPORT void norm_backward_##NAME(i64 first, i64 last, i64 size, double eps, const S* grad,      \
                                     const S* x, const S* weight, const S* mean, const S* var,      \
                                     S* gx, S* gweight, S* gbias) {                                 \
        norm_backward<S>(first, last, size, eps, grad, x, weight, mean, var, gx, gweight, gbias);   \
    }                                                                                               \
    EXPORT void norm_moments_##NAME(i64 first, i64 last, i64 size, const S* x, S* mean, S* var) {   \
        norm_moments<S>(first, last, size, x, mean, var);                                           \
    }                                                                                               \
    EXPORT void norm_apply_##NAME(i64 first, i64 last, i64 size, const S* x, const S* weight,       \
                                  const S* bias, double eps, const S* mean, const S* var, S* y) {   \
        norm_apply<S>(first, last, size, x, weight, bias, eps, mean, var, y);                       \
    }                                                                                               \
    EXPORT void norm_sums_##NAME(i64 first, i64 last, i64 size, const S* grad, const S* x,          \
                                 double eps, const S* mean, const S* var, S* along, S* plain) {     \
        norm_sums<S>(first, last, size, grad, x, eps, mean, var, along, plain);                     \
    }                                                                                               \
    EXPORT void norm_gradient_##NAME(i64 first, i64 last, i64 size, const S* grad, const S* x,      \
                                     const S* weight, double eps, const S* mean, const S* var,      \
                                     const S* along, const S* plain, S* gx) {                       \
        norm_gradient<S>(first, last, size, grad, x, weight, eps, mean, var, along, plain, gx);     \
    }                                                                                               \
    EXPORT void gate_forward_##NAME(i64 first, i64 last, i64 size, const S* value, const S* gate,   \
                                    const S* weight, const S* bias, double eps, const S* h,         \
                                    S* out, S* mean, S* var) {                                      \
        gate_forward<S>(first, last, size, value, gate, weight, bias, eps, h, out, mean, var);      \
    }                                                                                               \
    EXPORT void gate_backward_##NAME(i64 first, i64 last, i64 size, const S* grad, const S* value,  \
                                     const S* gate, const S* weight, const S* bias, double eps,     \
                                     const S* mean, const S* var, S* gvalue, S* ggate,              \
                                     S* gweight, S* gbias) {                                        \
        gate_backward<S>(first, last, size, grad, value, gate, weight, bias, eps, mean, var,        \
                         gvalue, ggate, gweight, gbias);                                            \
    }                                                                                               \
    EXPORT void step_backward_##NAME(i64 first, i64 last, i64 kind, double slope, const S* grad,    \
                                     const S* y, S* gy) {                                           \
        step_backward<S>(first, last, kind, slope, grad, y, gy);                                    \
    }                                                                                               \
    EXPORT void ternary_forward_##NAME(i64 first, i64 last, i64 size, const S* y, const S* delta,   \
                                       S* s) {                                                      \
        ternary_forward<S>(first, last, size, y, delta, s);                                         \
    }                                                                                               \
    EXPORT void ternary_backward_##NAME(i64 first, i64 last, i64 size, i64 kind, double slope,      \
                                        const S* grad, const S* y, const S* delta, S* gy,           \
                                        S* gdelta) {                                                \
        ternary_backward<S>(first, last, size, kind, slope, grad, y, delta, gy, gdelta);            \
    }                                                                                               \
    EXPORT void mix_##NAME(i64 first, i64 last, i64 to, i64 from, i64 size, i64 transposed,         \
                           const S* weight, const S* x, const S* bias, const S* onto, S* y) {       \
        mix<S>(first, last, to, from, size, transposed, weight, x, bias, onto, y);                  \
    }

DEFINE(float, f32)
DEFINE(double, f64)
