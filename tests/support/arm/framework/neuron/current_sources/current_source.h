/* Stand-in for sPyNNaker's current sources; like the original it offers only those that were
 * included before, and none, without a word, if that is none. */
#ifndef STAND_IN_CURRENT_SOURCE_H
#define STAND_IN_CURRENT_SOURCE_H
#ifndef STAND_IN_CURRENT_SOURCE_IMPL_H
#error "include current_source_impl.h before: without it no current source is ever read"
#endif
#include <common/neuron-typedefs.h>
REAL current_source_get_offset(uint32_t time, uint32_t neuron_index);
#endif
