/* What is on its way to a population: sums of spikes' weights and graded values, by the tick in
 * which they arrive.
 *
 * Rings of `slots` ticks, a power of two above the longest delay. A spike sent in a tick adds its
 * weights to slot (tick + delay) mod slots; a membrane is put into that slot of the values. The
 * population reads slot tick mod slots and clears its sums. Delays are at least 1. */
#ifndef ARRIVING_FLOAT_CORE_H
#define ARRIVING_FLOAT_CORE_H

#include "state_space_float_core.h"

typedef struct {
    uint32_t slot_mask;  /* slots - 1 */
    uint32_t n_neurons;
    uint32_t n_receptors;
    uint32_t n_values;   /* of a tick */
    int32_t *sums;       /* [slots][n_neurons][n_receptors] */
    float *values;       /* [slots][n_values] */
} arriving_float_t;

/* The sums of a neuron after another that arrive in a tick. */
static inline int32_t *arriving_float_sums(const arriving_float_t *ring, uint32_t tick)
{
    return ring->sums + (tick & ring->slot_mask) * ring->n_neurons * ring->n_receptors;
}

/* The graded values that arrive in a tick. */
static inline float *arriving_float_values(const arriving_float_t *ring, uint32_t tick)
{
    return ring->values + (tick & ring->slot_mask) * ring->n_values;
}

/* A spike sent in a tick: its weights onto a receptor of each neuron. */
static inline void arriving_float_spike(
        const arriving_float_t *ring, uint32_t tick, uint32_t delay, uint32_t receptor,
        const int8_t *weights)
{
    state_space_float_spike(
        arriving_float_sums(ring, tick + delay) + receptor, ring->n_receptors, weights,
        ring->n_neurons);
}

/* A membrane sent in a tick, value number `value` of the receiver. */
static inline void arriving_float_value(
        const arriving_float_t *ring, uint32_t tick, uint32_t delay, uint32_t value, float y)
{
    arriving_float_values(ring, tick + delay)[value] = y;
}

/* After the tick's step. */
static inline void arriving_float_clear(const arriving_float_t *ring, uint32_t tick)
{
    int32_t *sum = arriving_float_sums(ring, tick);
    int32_t *const end = sum + ring->n_neurons * ring->n_receptors;
    while (sum != end) {
        *sum++ = 0;
    }
}

#endif
