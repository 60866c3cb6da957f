/* The native state-space cell as a neuron implementation of sPyNNaker's C framework.
 *
 * The region of neuron parameters holds state_space_population_t once (StructRepeat.GLOBAL), then
 * the neurons with their modes, each state_space_neuron_bytes() long; the number of modes is read
 * from there, so that one binary serves every population. Receptor types: 0 excitatory, added;
 * 1 inhibitory, subtracted. Recorded: index 0, the membrane after the update; spikes.
 *
 * Needs sPyNNaker's neural_modelling sources to compile. License: MIT. */
#ifndef STATE_SPACE_IMPL_H
#define STATE_SPACE_IMPL_H

#include <neuron/implementations/neuron_impl.h>
#include <spin1_api.h>
#include <debug.h>

#include "state_space_core.h"

#define V_RECORDING_INDEX 0
#define N_RECORDED_VARS 1
#define SPIKE_RECORDING_BITFIELD 0
#define N_BITFIELD_VARS 1

#include <neuron/neuron_recording.h>
#include <neuron/current_sources/current_source_impl.h> /* first: it says which sources there are */
#include <neuron/current_sources/current_source.h>

#define STATE_SPACE_POPULATION_WORDS (sizeof(state_space_population_t) / sizeof(uint32_t))

static state_space_population_t state_space_population;
static uint8_t *state_space_neurons = NULL;
static uint32_t state_space_bytes = 0;

static inline state_space_neuron_t *state_space_neuron(index_t index)
{
    return (state_space_neuron_t *) &state_space_neurons[index * state_space_bytes];
}

/* An s16.15 number and the integer that holds it. */
typedef union {
    accum value;
    int32_t bits;
} state_space_s1615_t;

static inline int32_t state_space_bits(accum value)
{
    state_space_s1615_t word;
    word.value = value;
    return word.bits;
}

static inline accum state_space_accum(int32_t bits)
{
    state_space_s1615_t word;
    word.bits = bits;
    return word.value;
}

static volatile const char state_space_layout[] = STATE_SPACE_LAYOUT;

SOMETIMES_UNUSED
static bool neuron_impl_initialise(uint32_t n_neurons)
{
    use(n_neurons);             /* how large a neuron is stands in the parameters */
    use(state_space_layout[0]); /* so that it stays in the program */
    return true;
}

SOMETIMES_UNUSED
static void neuron_impl_load_neuron_parameters(
        address_t address, uint32_t next, uint32_t n_neurons, address_t save_initial_state)
{
    spin1_memcpy(&state_space_population, &address[next], sizeof(state_space_population));
    const uint32_t n_bytes = n_neurons * state_space_neuron_bytes(&state_space_population);
    if (state_space_neurons == NULL) {
        state_space_bytes = state_space_neuron_bytes(&state_space_population);
        state_space_neurons = spin1_malloc(n_bytes);
        if (state_space_neurons == NULL) {
            log_error("state-space cell: %u bytes for %u neurons exceed DTCM; "
                      "use fewer neurons per core", n_bytes, n_neurons);
            rt_error(RTE_SWERR);
        }
    }
    spin1_memcpy(state_space_neurons, &address[next + STATE_SPACE_POPULATION_WORDS], n_bytes);
    if (save_initial_state) {
        spin1_memcpy(&save_initial_state[next], &address[next],
                sizeof(state_space_population) + n_bytes);
    }
}

SOMETIMES_UNUSED
static void neuron_impl_store_neuron_parameters(
        address_t address, uint32_t next, uint32_t n_neurons)
{
    spin1_memcpy(&address[next], &state_space_population, sizeof(state_space_population));
    spin1_memcpy(&address[next + STATE_SPACE_POPULATION_WORDS], state_space_neurons,
            n_neurons * state_space_bytes);
}

SOMETIMES_UNUSED
static void neuron_impl_add_inputs(
        index_t synapse_type_index, index_t neuron_index, input_t weights_this_timestep)
{
    state_space_neuron_t *neuron = state_space_neuron(neuron_index);
    const int32_t weight = state_space_bits(weights_this_timestep);
    neuron->input = state_space_add(
            neuron->input, synapse_type_index == 0 ? weight : state_space_negated(weight));
}

/* All neurons' step. Inlined once for the commonest phase and once for the others, so that plain
 * neurons do not pay for optional parts. */
static inline void state_space_tick(
        const state_space_population_t *population, state_space_phase_t phase,
        uint32_t timer_count, uint32_t time, uint32_t n_neurons)
{
    const uint32_t bytes = state_space_bytes;
    uint8_t *neuron = state_space_neurons;
    for (index_t i = 0; i < n_neurons; i++, neuron += bytes) {
        const int32_t current = state_space_bits(current_source_get_offset(time, i));
        uint32_t spike;
        const int32_t y = state_space_step(
                (state_space_neuron_t *) neuron, population, phase, current, &spike);
        neuron_recording_record_accum(V_RECORDING_INDEX, i, state_space_accum(y));
        if (spike) {
            neuron_recording_record_bit(SPIKE_RECORDING_BITFIELD, i);
            send_spike(timer_count, time, i);
        }
    }
}

SOMETIMES_UNUSED
static void neuron_impl_do_timestep_update(
        uint32_t timer_count, uint32_t time, uint32_t n_neurons)
{
    const state_space_phase_t phase = state_space_begin(
            &state_space_population, state_space_neurons, n_neurons, state_space_bytes, time);
    if (phase == STATE_SPACE_PLAIN) {
        /* A copy, since every store of a state could be one to a variable of the file. */
        const state_space_population_t population = state_space_population;
        state_space_tick(&population, STATE_SPACE_PLAIN, timer_count, time, n_neurons);
    } else {
        state_space_tick(&state_space_population, phase, timer_count, time, n_neurons);
    }
}

#if LOG_LEVEL >= LOG_DEBUG
static void neuron_impl_print_inputs(uint32_t n_neurons)
{
    for (index_t i = 0; i < n_neurons; i++) {
        log_debug("neuron %u: input %d", i, state_space_neuron(i)->input);
    }
}

static void neuron_impl_print_synapse_parameters(uint32_t n_neurons)
{
    use(n_neurons); /* synapses have no parameters */
}

static const char *neuron_impl_get_synapse_type_char(uint32_t synapse_type)
{
    return synapse_type == 0 ? "X" : "I";
}
#endif /* LOG_LEVEL >= LOG_DEBUG */

#endif /* STATE_SPACE_IMPL_H */
