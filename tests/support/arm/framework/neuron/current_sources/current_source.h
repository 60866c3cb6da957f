/* Stand-in for sPyNNaker's current sources, as a neuron uses them. */
#ifndef STAND_IN_CURRENT_SOURCE_H
#define STAND_IN_CURRENT_SOURCE_H
accum current_source_get_offset(uint32_t time, uint32_t neuron_index);
#endif
