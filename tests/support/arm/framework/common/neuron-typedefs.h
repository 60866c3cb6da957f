/* Stand-in for the neurons' types. */
#ifndef STAND_IN_NEURON_TYPEDEFS_H
#define STAND_IN_NEURON_TYPEDEFS_H
#include <common-typedefs.h>
typedef accum REAL;
typedef REAL input_t;
#endif
