/* Stand-in for which current sources there are: it declares nothing that a neuron calls. */
#ifndef STAND_IN_CURRENT_SOURCE_IMPL_H
#define STAND_IN_CURRENT_SOURCE_IMPL_H
#endif
