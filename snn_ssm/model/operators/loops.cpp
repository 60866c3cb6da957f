// The loops over steps by name, for float (f32) and double (f64); groups of rows from `first` to
// `last`. See operators.cpp.
#include "feedback.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

template <class F> INLINE void with_kind(const Loop& z, F f) {
    if (z.planes == 2 && z.hard) f(std::true_type(), std::true_type());
    if (z.planes == 2 && !z.hard) f(std::true_type(), std::false_type());
    if (z.planes == 1 && z.hard) f(std::false_type(), std::true_type());
    if (z.planes == 1 && !z.hard) f(std::false_type(), std::false_type());
}

#define DEFINE(S, NAME)                                                                            \
    EXPORT i64 loop_lanes_##NAME() { return LANES<S>; }                                             \
    EXPORT i64 loop_kept_##NAME() { return KEPT; }                                                  \
    EXPORT void loop_forward_##NAME(i64 first, i64 last, const Loop* z, const S* u, const S* abar,  \
                                    const S* g, const S* r, const S* d, const S* theta, S* y,       \
                                    S* spikes, S* states) {                                         \
        with_kind(*z, [=](auto complex, auto hard) {                                                \
            loop_forward<S, complex.value, hard.value>(first, last, *z, u, abar, g, r, d, theta, y, \
                                                       spikes, states);                             \
        });                                                                                         \
    }                                                                                               \
    EXPORT void loop_backward_##NAME(i64 first, i64 last, const Loop* z, const S* gy, const S* gs,  \
                                     const S* u, const S* states, const S* abar, const S* g,        \
                                     const S* r, const S* d, const S* theta, S* gu, S* gabar,       \
                                     S* gg, S* gr, S* gd, S* gtheta) {                              \
        with_kind(*z, [=](auto complex, auto hard) {                                                \
            loop_backward<S, complex.value, hard.value>(first, last, *z, gy, gs, u, states, abar,   \
                                                        g, r, d, theta, gu, gabar, gg, gr, gd,      \
                                                        gtheta);                                    \
        });                                                                                         \
    }

#define DEFINE_FEEDBACK(S, NAME)                                                                   \
    EXPORT void feedback_forward_##NAME(                                                           \
        i64 first, i64 last, const Feedback* f, const S* u, const S* abar, const S* g, const S* r,  \
        const S* d, const S* theta, const S* a, const S* weight, const S* taps, S* v, S* y, S* s,   \
        S* states) {                                                                                \
        with_kind(f->loop, [=](auto complex, auto hard) {                                           \
            feedback_forward<S, complex.value, hard.value>(first, last, *f, u, abar, g, r, d,       \
                                                           theta, a, weight, taps, v, y, s,         \
                                                           states);                                 \
        });                                                                                         \
    }                                                                                               \
    EXPORT void feedback_backward_##NAME(                                                          \
        i64 first, i64 last, const Feedback* f, const S* gy, const S* gs, const S* v, const S* y,   \
        const S* states, const S* abar, const S* g, const S* r, const S* d, const S* theta,         \
        const S* a, const S* weight, const S* taps, S* gv, S* gabar, S* gg, S* gr, S* gd,           \
        S* gtheta, S* ga) {                                                                         \
        with_kind(f->loop, [=](auto complex, auto hard) {                                           \
            feedback_backward<S, complex.value, hard.value>(first, last, *f, gy, gs, v, y, states,  \
                                                            abar, g, r, d, theta, a, weight, taps,  \
                                                            gv, gabar, gg, gr, gd, gtheta, ga);     \
        });                                                                                         \
    }

DEFINE(float, f32)
DEFINE(double, f64)
DEFINE_FEEDBACK(float, f32)
DEFINE_FEEDBACK(double, f64)
