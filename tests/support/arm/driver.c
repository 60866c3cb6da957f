/* Runs the native cell's arithmetic core on ARM, as a program of Linux without a C library.
 *
 * Standard input, 32-bit little-endian words: neurons, first tick, ticks; then the population's
 * words; then the neurons as state_space_core.h lays them out; then for each tick an input
 * for each neuron. Standard output: for each tick y and spike of each neuron; at the end the
 * neurons' words. Exit status: 0, or 1 for an input that ends early or does not fit. */
#include "state_space_core.h"

#include "system.h"

enum { MEMORY_WORDS = 1 << 16, MAX_NEURONS = 256 };

static int32_t memory[MEMORY_WORDS];
static int32_t inputs[MAX_NEURONS];
static int32_t outputs[2 * MAX_NEURONS];

/* A function of its own, so that its instructions can be counted. */
__attribute__((noinline)) void tick_neurons(
        const state_space_population_t *population, uint32_t n_neurons, uint32_t tick)
{
    const uint32_t stride = state_space_neuron_bytes(population) / sizeof(int32_t);
    const state_space_phase_t phase = state_space_begin(
            population, (uint8_t *) memory, n_neurons, stride * sizeof(int32_t), tick);
    for (uint32_t i = 0; i < n_neurons; i++) {
        state_space_neuron_t *neuron = (state_space_neuron_t *) &memory[i * stride];
        uint32_t spike;
        neuron->input = state_space_add(neuron->input, inputs[i]);
        outputs[2 * i] = state_space_step(neuron, population, phase, 0, &spike);
        outputs[2 * i + 1] = (int32_t) spike;
    }
}

void _start(void)
{
    uint32_t head[3];
    state_space_population_t population;
    transfer(READ, head, sizeof(head));
    transfer(READ, &population, sizeof(population));
    const uint32_t n_neurons = head[0];
    const uint32_t bytes = n_neurons * state_space_neuron_bytes(&population);
    if (n_neurons > MAX_NEURONS || bytes > sizeof(memory)) {
        leave(1);
    }
    transfer(READ, memory, bytes);
    for (uint32_t tick = head[1]; tick != head[1] + head[2]; tick++) {
        transfer(READ, inputs, n_neurons * sizeof(int32_t));
        tick_neurons(&population, n_neurons, tick);
        transfer(WRITE, outputs, n_neurons * 2 * sizeof(int32_t));
    }
    transfer(WRITE, memory, bytes);
    leave(0);
}
