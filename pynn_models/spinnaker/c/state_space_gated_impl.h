/* State-space neurons with gated inputs as a neuron implementation of sPyNNaker's C framework.
 *
 * The region of neuron parameters holds state_space_gated_t, the table, the graded projections and
 * the keys of their sources once, then the neurons (state_space_gated_core.h). Receptor types: two a
 * receptor, excitatory and inhibitory: 0, 1 the input, then value and gate of each branch. Recorded:
 * index 0, the membrane after the update; spikes.
 *
 * Graded values travel as payloads of multicast packets: the key is the neuron's own, and its colour,
 * the sender's tick modulo 16, says which slot they belong to. Event-based units send theirs with a
 * spike only, and no other packet. sPyNNaker takes a payload for the
 * multiplicity of a spike, so this program takes over their callback in its first tick.
 *
 * Needs sPyNNaker's neural_modelling sources to compile. License: MIT. */
#ifndef STATE_SPACE_GATED_IMPL_H
#define STATE_SPACE_GATED_IMPL_H

#include <neuron/implementations/neuron_impl.h>
#include <common/send_mc.h>
#include <spin1_api.h>
#include <debug.h>

#include "state_space_gated_core.h"

#define V_RECORDING_INDEX 0
#define N_RECORDED_VARS 1
#define SPIKE_RECORDING_BITFIELD 0
#define N_BITFIELD_VARS 1

#include <neuron/neuron_recording.h>
#include <neuron/current_sources/current_source_impl.h> /* first: it says which sources there are */
#include <neuron/current_sources/current_source.h>

/* Keys of a core that sends graded values: its neuron n is source `first` + n. */
typedef struct {
    uint32_t key;
    uint32_t mask;
    uint32_t first;
    uint32_t colour_bits;
} state_space_key_t;

static state_space_gated_core_t state_space_core;
static const state_space_key_t *state_space_keys;
static uint32_t *state_space_shared = NULL; /* all of the region before the neurons */
static uint8_t *state_space_neurons = NULL;
static int32_t *state_space_values = NULL;
static uint32_t state_space_bytes = 0;
static bool state_space_receives = false;

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

/* Words of the region before the neurons. */
static inline uint32_t state_space_shared_words(const state_space_gated_t *head)
{
    return (sizeof(*head) + head->n_graded * sizeof(state_space_graded_t)
            + head->n_keys * sizeof(state_space_key_t)) / sizeof(uint32_t)
            + STATE_SPACE_TABLE_WORDS;
}

/* Keeps a graded value in the slot of its tick; others' packets are not for this core. */
static void state_space_receive(uint key, uint payload)
{
    const state_space_gated_t *head = &state_space_core.head;
    for (uint32_t i = 0; i < head->n_keys; i++) {
        const state_space_key_t *sender = &state_space_keys[i];
        if ((key & sender->mask) == sender->key) {
            const uint32_t rest = key & ~sender->mask;
            const uint32_t colour = rest & ((1u << sender->colour_bits) - 1);
            state_space_values[(colour & head->slot_mask) * head->n_sources + sender->first
                    + (rest >> sender->colour_bits)] = state_space_signed(payload);
            return;
        }
    }
}

static void *state_space_allocate(uint32_t bytes)
{
    void *memory = spin1_malloc(bytes);
    if (memory == NULL) {
        log_error("state-space cell: %u bytes exceed DTCM; use fewer neurons per core", bytes);
        rt_error(RTE_SWERR);
    }
    return memory;
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
    state_space_gated_t *head = &state_space_core.head;
    spin1_memcpy(head, &address[next], sizeof(*head));
    const uint32_t words = state_space_shared_words(head);
    if (state_space_shared == NULL) {
        state_space_shared = state_space_allocate(words * sizeof(uint32_t));
    }
    spin1_memcpy(state_space_shared, &address[next], words * sizeof(uint32_t));
    const uint32_t *after = &state_space_shared[sizeof(*head) / sizeof(uint32_t)];
    state_space_core.table = (const uint16_t *) after;
    state_space_core.graded = (const state_space_graded_t *) (after + STATE_SPACE_TABLE_WORDS);
    state_space_keys = (const state_space_key_t *) (state_space_core.graded + head->n_graded);
    const uint32_t bytes = state_space_gated_bytes(head, state_space_core.graded);
    if (state_space_neurons == NULL) {
        const uint32_t values = (head->slot_mask + 1) * head->n_sources;
        state_space_bytes = bytes;
        state_space_neurons = state_space_allocate(n_neurons * bytes);
        state_space_values = state_space_allocate((values + 1) * sizeof(int32_t));
        for (uint32_t i = 0; i < values; i++) {
            state_space_values[i] = 0;
        }
        state_space_core.values = state_space_values;
    }
    spin1_memcpy(state_space_neurons, &address[next + words], n_neurons * bytes);
    if (save_initial_state) {
        spin1_memcpy(&save_initial_state[next], &address[next],
                words * sizeof(uint32_t) + n_neurons * bytes);
    }
}

SOMETIMES_UNUSED
static void neuron_impl_store_neuron_parameters(
        address_t address, uint32_t next, uint32_t n_neurons)
{
    const uint32_t words = state_space_shared_words(&state_space_core.head);
    spin1_memcpy(&address[next], state_space_shared, words * sizeof(uint32_t));
    spin1_memcpy(&address[next + words], state_space_neurons, n_neurons * state_space_bytes);
}

SOMETIMES_UNUSED
static void neuron_impl_add_inputs(
        index_t synapse_type_index, index_t neuron_index, input_t weights_this_timestep)
{
    const int32_t weight = state_space_bits(weights_this_timestep);
    state_space_gated_add(
            &state_space_core.head, state_space_neuron(neuron_index), synapse_type_index / 2,
            (synapse_type_index & 1u) == 0 ? weight : state_space_negated(weight));
}

SOMETIMES_UNUSED
static void neuron_impl_do_timestep_update(
        uint32_t timer_count, uint32_t time, uint32_t n_neurons)
{
    const state_space_gated_t *head = &state_space_core.head;
    const state_space_phase_t phase = state_space_begin(
            &head->population, state_space_neurons, n_neurons, state_space_bytes, time);
    if (!state_space_receives) {
        spin1_callback_off(MCPL_PACKET_RECEIVED);
        spin1_callback_on(MCPL_PACKET_RECEIVED, state_space_receive, -1);
        state_space_receives = true;
    }
    const bool events = head->kind == STATE_SPACE_EGRU;
    const bool sends =
            (head->sends & STATE_SPACE_SENDS) && use_key && phase != STATE_SPACE_WAITING;
    for (index_t i = 0; i < n_neurons; i++) {
        const int32_t current = state_space_bits(current_source_get_offset(time, i));
        uint32_t spike;
        int32_t sent;
        const int32_t y = state_space_gated_step(
                &state_space_core, state_space_neuron(i), phase, time, current, &spike, &sent);
        neuron_recording_record_accum(V_RECORDING_INDEX, i, state_space_accum(y));
        if (spike) {
            neuron_recording_record_bit(SPIKE_RECORDING_BITFIELD, i);
            if (!events) {
                send_spike(timer_count, time, i);
            }
        }
        if (sends && (spike || !events)) {
            send_spike_mc_payload(neuron_keys[i] | colour, (uint32_t) sent);
        }
    }
    if (head->sends & STATE_SPACE_CLEARS) {
        /* The slot of the next tick, since a sender may be in that tick before this core is. */
        int32_t *slot = &state_space_values[((time + 1) & head->slot_mask) * head->n_sources];
        for (uint32_t i = 0; i < head->n_sources; i++) {
            slot[i] = 0;
        }
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
    return (synapse_type & 1u) == 0 ? "X" : "I";
}
#endif /* LOG_LEVEL >= LOG_DEBUG */

#endif /* STATE_SPACE_GATED_IMPL_H */
