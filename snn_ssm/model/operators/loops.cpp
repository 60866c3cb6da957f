// The loops over steps by name, for float (f32) and double (f64); groups of rows from `first` to
// `last`. See operators.cpp.
#include "share.h"

#include "feedback.h"

template <class F> INLINE void with_kind(const Loop& z, F f) {
    if (z.planes == 2 && z.hard) f(std::true_type(), std::true_type());
    if (z.planes == 2 && !z.hard) f(std::true_type(), std::false_type());
    if (z.planes == 1 && z.hard) f(std::false_type(), std::true_type());
    if (z.planes == 1 && !z.hard) f(std::false_type(), std::false_type());
}

template <class S>
void loop_forward(i64 first, i64 last, const Loop& z, const S* u, const S* abar, const S* g,
                  const S* r, const S* d, const S* theta, S* y, S* spikes, S* states) {
    with_kind(z, [&](auto complex, auto hard) {
        loop_forward_of<S, complex.value, hard.value>(first, last, z, u, abar, g, r, d, theta, y,
                                                      spikes, states);
    });
}

template <class S>
void loop_backward(i64 first, i64 last, const Loop& z, const S* gy, const S* gs, const S* u,
                   const S* states, const S* abar, const S* g, const S* r, const S* d,
                   const S* theta, S* gu, S* gabar, S* gg, S* gr, S* gd, S* gtheta) {
    with_kind(z, [&](auto complex, auto hard) {
        loop_backward_of<S, complex.value, hard.value>(first, last, z, gy, gs, u, states, abar, g,
                                                       r, d, theta, gu, gabar, gg, gr, gd, gtheta);
    });
}

template <class S>
void feedback_forward(i64 first, i64 last, const Feedback& f, const S* u, const S* abar, const S* g,
                      const S* r, const S* d, const S* theta, const S* a, const S* weight,
                      const S* taps, S* v, S* y, S* s, S* states) {
    with_kind(f.loop, [&](auto complex, auto hard) {
        feedback_forward_of<S, complex.value, hard.value>(first, last, f, u, abar, g, r, d, theta, a,
                                                          weight, taps, v, y, s, states);
    });
}

template <class S>
void feedback_backward(i64 first, i64 last, const Feedback& f, const S* gy, const S* gs, const S* v,
                       const S* y, const S* states, const S* abar, const S* g, const S* r,
                       const S* d, const S* theta, const S* a, const S* weight, const S* taps,
                       S* gv, S* gabar, S* gg, S* gr, S* gd, S* gtheta, S* ga) {
    with_kind(f.loop, [&](auto complex, auto hard) {
        feedback_backward_of<S, complex.value, hard.value>(first, last, f, gy, gs, v, y, states,
                                                           abar, g, r, d, theta, a, weight, taps,
                                                           gv, gabar, gg, gr, gd, gtheta, ga);
    });
}

#define CONSTANTS(S, NAME)                                                                         \
    extern "C" __attribute__((visibility("default"))) i64 loop_lanes_##NAME() { return LANES<S>; }  \
    extern "C" __attribute__((visibility("default"))) i64 loop_kept_##NAME() { return KEPT; }

CONSTANTS(float, f32)
CONSTANTS(double, f64)
EXPORT(loop_forward)
EXPORT(loop_backward)
EXPORT(feedback_forward)
EXPORT(feedback_backward)
