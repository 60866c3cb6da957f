/* The arithmetic of the native state-space cell, in integers, for ARM968 and anything else.
 *
 *   u   = input + bias + current                                   (32 bits)
 *   x'  = (a x + 2^k u + 2^30) >> 31        per mode, complex      (64-bit products)
 *   y   = (sum(c_re x'_re - c_im x'_im) + d u + 2^31) >> 32
 *   spike if y > theta
 *
 * where a is Q0.31, and x, u, y, theta are s16.15 times powers of two that the host folds into k,
 * c and d (pynn_models/spinnaker/native_parameters.py). k are the low five bits of c_re: c_re is
 * rounded so that they say k, and used as it stands. Both shifts round to nearest, halves up.
 * What a spike does to its neuron, and a threshold that remembers: state_space_parts.h.
 *
 * Everything wraps modulo 2^32 (states, input) or 2^64 (sums); nothing is undefined, whatever the
 * parameters. The host's plan excludes wrapping, and its model of this file reports it.
 * The readout cannot overflow: the host checks sum(|c_re| + |c_im|) + |d| < 2^32 - 1.
 *
 * Needs <stdint.h> only. License: MIT. */
#ifndef STATE_SPACE_CORE_H
#define STATE_SPACE_CORE_H

#include <stdint.h>

#include "state_space_modes.h"
#include "state_space_neuron.h"
#include "state_space_parts.h"

/* The new states of n_modes modes, and y. */
static inline int32_t state_space_modes(
        state_space_neuron_t *neuron, uint32_t is_complex, uint32_t n_modes, int32_t u)
{
    if (is_complex) {
        return state_space_complex_modes(
                (state_space_complex_mode_t *) (neuron + 1), n_modes, u, neuron->d);
    }
    return state_space_real_modes(
            (state_space_real_mode_t *) (neuron + 1), n_modes, u, neuron->d);
}

/* An update in every phase but one; out of line, so that plain neurons do not pay for it. */
STATE_SPACE_OUT_OF_LINE static int32_t state_space_update_other(
        state_space_neuron_t *neuron, const state_space_population_t *population,
        state_space_phase_t phase, int32_t u, uint32_t *spike)
{
    *spike = 0;
    if (phase == STATE_SPACE_WAITING) {
        return 0;
    }
    int32_t *rest = state_space_parts(neuron, population);
    const uint32_t held = state_space_is_held(population, rest); /* then y = d u */
    const int32_t y = state_space_modes(
            neuron, population->is_complex, held ? 0 : population->n_modes, u);
    *spike = state_space_fire(neuron, population, rest, y);
    return y;
}

/* The modes of one neuron for an input u: returns y, and in *spike whether it spikes; for a
 * population that is waiting, y is 0 and the state is left alone. */
static inline int32_t state_space_update(
        state_space_neuron_t *neuron, const state_space_population_t *population,
        state_space_phase_t phase, int32_t u, uint32_t *spike)
{
    if (phase != STATE_SPACE_PLAIN) {
        uint32_t fires; /* in memory, as *spike then need not be */
        const int32_t y = state_space_update_other(neuron, population, phase, u, &fires);
        *spike = fires;
        return y;
    }
    const int32_t y = state_space_modes(neuron, population->is_complex, population->n_modes, u);
    *spike = y > neuron->theta;
    return y;
}

/* One tick of one neuron. `current` is added to the input, which is thrown away while waiting. */
static inline int32_t state_space_step(
        state_space_neuron_t *neuron, const state_space_population_t *population,
        state_space_phase_t phase, int32_t current, uint32_t *spike)
{
    const int32_t u = state_space_add(state_space_add(neuron->input, neuron->bias), current);
    neuron->input = 0;
    return state_space_update(neuron, population, phase, u, spike);
}

#endif /* STATE_SPACE_CORE_H */
