/* How a population and its neurons lie in memory, and which step of a sample a tick is.
 *
 * Needs <stdint.h> only. License: MIT. */
#ifndef STATE_SPACE_NEURON_H
#define STATE_SPACE_NEURON_H

#include <stdint.h>

#include "state_space_modes.h"

enum {
    STATE_SPACE_NO_RESET = 0,
    STATE_SPACE_SOFT = 1, /* a spike takes r from each mode */
    STATE_SPACE_HARD = 2  /* a spike sets all modes to 0 */
};

/* Text in every program, for the host to find: which parameters it reads. Raised with each change of
 * what they are; the host (pynn_models/spinnaker/neuron.py) refuses a program that has another. */
#define STATE_SPACE_LAYOUT "state-space layout 2"

/* What all neurons of a core share: 32 bytes. */
typedef struct {
    uint32_t n_modes;
    uint32_t is_complex;
    uint32_t first_step; /* the tick that is step k = 0 */
    uint32_t period;     /* all state is zeroed when k % period == 0; 0: never */
    uint32_t reset;      /* one of the above */
    uint32_t refractory; /* steps of silence after a spike, with a reset */
    uint32_t history;    /* steps that move the threshold, 0 to 32 */
    uint32_t words;      /* of a neuron, its modes and optional parts included */
} state_space_population_t;

/* A neuron: 16 bytes, followed by its modes, and these by what optional parts need:
 *
 *   rest                     with a reset: the steps of silence that are left
 *   before, a[1] ... a[J]    with a history of J steps: bit j - 1 of `before` says whether y was
 *                            above theta j steps before
 *   r_re r_im, or r          of each mode, with a soft reset */
typedef struct {
    int32_t input; /* weighted spikes of this tick; cleared by the step */
    int32_t bias;
    int32_t d;
    int32_t theta;
} state_space_neuron_t;

typedef enum {
    STATE_SPACE_WAITING, /* k < 0: input is thrown away, no spike, y = 0 */
    STATE_SPACE_ACTING,  /* a step of neurons with optional parts */
    STATE_SPACE_PLAIN    /* a step of neurons without */
} state_space_phase_t;

/* Bytes of a neuron without its optional parts. */
static inline uint32_t state_space_plain_bytes(const state_space_population_t *population)
{
    const uint32_t mode_bytes = population->is_complex ? sizeof(state_space_complex_mode_t)
                                                       : sizeof(state_space_real_mode_t);
    return (uint32_t) sizeof(state_space_neuron_t) + population->n_modes * mode_bytes;
}

/* Bytes from one neuron to the next. */
static inline uint32_t state_space_neuron_bytes(const state_space_population_t *population)
{
    return population->words * (uint32_t) sizeof(int32_t);
}

/* The phase of a tick. */
static inline state_space_phase_t state_space_phase(
        const state_space_population_t *population, uint32_t tick)
{
    if (tick < population->first_step) {
        return STATE_SPACE_WAITING;
    }
    return population->reset | population->history ? STATE_SPACE_ACTING : STATE_SPACE_PLAIN;
}

/* Whether a sample begins in a tick: k % period == 0. */
static inline uint32_t state_space_begins(
        const state_space_population_t *population, uint32_t tick)
{
    return population->period != 0 && tick >= population->first_step
            && (tick - population->first_step) % population->period == 0;
}

#endif /* STATE_SPACE_NEURON_H */
