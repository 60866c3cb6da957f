/* Runs SpiNNaker 2's float32 core on an Arm Cortex-M4's instructions, as a program of Linux without
 * a C library.
 *
 * Standard input, 32-bit little-endian words: neurons, words of one, whether spikes act back on
 * them, ticks; modes, whether they are complex, whether the reset is hard, refractory steps, steps
 * of history; then the neurons as state_space_float_core.h or acting_float_core.h lays them out;
 * then for each tick a float for each neuron. Standard output: for each tick y and spike of each
 * neuron; at the end the neurons' words. Exit status: 0, or 1 for what does not fit. */
#include "acting_float_core.h"
#include "state_space_float_core.h"

#include "system.h"

enum { MEMORY_WORDS = 1 << 16, MAX_NEURONS = 256 };

static float memory[MEMORY_WORDS];
static float inputs[MAX_NEURONS];
static float outputs[2 * MAX_NEURONS];

/* Functions of their own, so that their instructions can be counted. */
__attribute__((noinline)) void tick_neurons(uint32_t n_neurons, uint32_t n_modes, uint32_t complex)
{
    const uint32_t stride = 3 + n_modes * (complex ? 6 : 3);
    for (uint32_t i = 0; i < n_neurons; i++) {
        state_space_float_neuron_t *neuron = (state_space_float_neuron_t *) &memory[i * stride];
        uint32_t spike;
        outputs[2 * i] = complex
            ? state_space_float_step(neuron, n_modes, inputs[i], &spike)
            : state_space_float_real_step(neuron, n_modes, inputs[i], &spike);
        outputs[2 * i + 1] = (float) spike;
    }
}

__attribute__((noinline)) void tick_acting(
        uint32_t n_neurons, uint32_t stride, const acting_float_t *shared)
{
    for (uint32_t i = 0; i < n_neurons; i++) {
        acting_float_neuron_t *neuron = (acting_float_neuron_t *) &memory[i * stride];
        uint32_t spike;
        outputs[2 * i] = acting_float_step(shared, neuron, inputs[i], &spike);
        outputs[2 * i + 1] = (float) spike;
    }
}

void _start(void)
{
    uint32_t head[4];
    acting_float_t shared;
    transfer(READ, head, sizeof(head));
    transfer(READ, &shared, sizeof(shared));
    const uint32_t words = head[0] * head[1];
    if (head[0] > MAX_NEURONS || words > MEMORY_WORDS) {
        leave(1);
    }
    transfer(READ, memory, words * sizeof(float));
    for (uint32_t tick = 0; tick != head[3]; tick++) {
        transfer(READ, inputs, head[0] * sizeof(float));
        if (head[2]) {
            tick_acting(head[0], head[1], &shared);
        } else {
            tick_neurons(head[0], shared.n_modes, shared.complex);
        }
        transfer(WRITE, outputs, head[0] * 2 * sizeof(float));
    }
    transfer(WRITE, memory, words * sizeof(float));
    leave(0);
}
