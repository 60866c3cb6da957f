/* Stand-in for sPyNNaker's recording; like the original it needs these numbers beforehand. */
#ifndef STAND_IN_NEURON_RECORDING_H
#define STAND_IN_NEURON_RECORDING_H
#include <common/neuron-typedefs.h>
#if N_RECORDED_VARS != 1 || N_BITFIELD_VARS != 1
#error "define what is recorded before including this header"
#endif
void neuron_recording_record_accum(uint32_t var_index, uint32_t neuron_index, accum value);
void neuron_recording_record_bit(uint32_t var_index, uint32_t neuron_index);
#endif
