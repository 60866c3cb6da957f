/* What spikes do to the neuron that sent them, all of it optional.
 *
 *   level = theta + sum over j = 1..J of the a[j] with y > theta j steps before       a history
 *   spike = y > level, and rest == 0
 *   rest  = refractory after a spike, else one less, down to 0                        a reset
 *   x     = x - r in each mode (soft), or 0 (hard), after a spike
 *
 * A spike is paid for when it comes: x is stored as the next step needs it. Needs <stdint.h> only.
 * License: MIT. */
#ifndef STATE_SPACE_PARTS_H
#define STATE_SPACE_PARTS_H

#include <stdint.h>

#include "state_space_neuron.h"

/* The words behind the modes: `rest` is the first with a reset. */
static inline int32_t *state_space_parts(
        state_space_neuron_t *neuron, const state_space_population_t *population)
{
    return (int32_t *) ((uint8_t *) neuron + state_space_plain_bytes(population));
}

/* Whether the modes are held at 0 in this step; `rest`: the words behind them. */
static inline uint32_t state_space_is_held(
        const state_space_population_t *population, const int32_t *rest)
{
    return population->reset == STATE_SPACE_HARD && *rest > 0;
}

/* All modes to 0. */
STATE_SPACE_OUT_OF_LINE static void state_space_zero_modes(
        state_space_neuron_t *neuron, const state_space_population_t *population)
{
    if (population->is_complex) {
        state_space_complex_mode_t *modes = (state_space_complex_mode_t *) (neuron + 1);
        for (uint32_t n = 0; n < population->n_modes; n++) {
            modes[n].x_re = 0;
            modes[n].x_im = 0;
        }
    } else {
        state_space_real_mode_t *modes = (state_space_real_mode_t *) (neuron + 1);
        for (uint32_t n = 0; n < population->n_modes; n++) {
            modes[n].x = 0;
        }
    }
}

/* All state of a neuron to 0. */
static inline void state_space_rest(
        state_space_neuron_t *neuron, const state_space_population_t *population)
{
    state_space_zero_modes(neuron, population);
    int32_t *words = state_space_parts(neuron, population);
    if (population->reset != STATE_SPACE_NO_RESET) {
        *words++ = 0;
    }
    if (population->history != 0) {
        *words = 0;
    }
}

/* The phase of a tick, once for all neurons, `bytes` apart; where a sample begins they are at rest
 * afterwards. */
STATE_SPACE_OUT_OF_LINE static state_space_phase_t state_space_begin(
        const state_space_population_t *population, uint8_t *neurons, uint32_t n_neurons,
        uint32_t bytes, uint32_t tick)
{
    if (state_space_begins(population, tick)) {
        for (uint32_t i = 0; i < n_neurons; i++) {
            state_space_rest((state_space_neuron_t *) &neurons[i * bytes], population);
        }
    }
    return state_space_phase(population, tick);
}

/* x - r of each mode, modulo 2^32. */
static inline void state_space_take(
        state_space_neuron_t *neuron, const state_space_population_t *population, const int32_t *r)
{
    if (population->is_complex) {
        state_space_complex_mode_t *modes = (state_space_complex_mode_t *) (neuron + 1);
        for (uint32_t n = 0; n < population->n_modes; n++) {
            modes[n].x_re = state_space_add(modes[n].x_re, state_space_negated(*r++));
            modes[n].x_im = state_space_add(modes[n].x_im, state_space_negated(*r++));
        }
    } else {
        state_space_real_mode_t *modes = (state_space_real_mode_t *) (neuron + 1);
        for (uint32_t n = 0; n < population->n_modes; n++) {
            modes[n].x = state_space_add(modes[n].x, state_space_negated(*r++));
        }
    }
}

/* Whether a membrane y makes a neuron spike, and what that does; `rest`: the words behind the
 * modes. */
static inline uint32_t state_space_fire(
        state_space_neuron_t *neuron, const state_space_population_t *population, int32_t *rest,
        int32_t y)
{
    const uint32_t steps = population->history;
    int32_t *words = rest + (population->reset != STATE_SPACE_NO_RESET);
    int32_t level = neuron->theta;
    if (steps != 0) {
        const uint32_t before = (uint32_t) *words;
        const uint32_t kept = 0xffffffffu >> (32 - steps);
        *words = state_space_signed((before << 1 | (y > level)) & kept);
        const int32_t *a = words + 1;
        for (uint32_t bits = before; bits != 0; bits >>= 1, a++) {
            if (bits & 1u) {
                level = state_space_add(level, *a);
            }
        }
        words += 1 + steps;
    }
    const uint32_t above = y > level;
    if (population->reset == STATE_SPACE_NO_RESET) {
        return above;
    }
    if (*rest > 0) {
        (*rest)--;
        return 0;
    }
    if (above) {
        *rest = state_space_signed(population->refractory);
        if (population->reset == STATE_SPACE_SOFT) {
            state_space_take(neuron, population, words);
        } else {
            state_space_zero_modes(neuron, population);
        }
    }
    return above;
}

#endif /* STATE_SPACE_PARTS_H */
