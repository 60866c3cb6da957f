// The wheel's config.h promises Boost, which the wheel does not ship. It serves sorting and
// readable type names only, so no memory layout depends on it. Include this file first.
#ifndef SNN_SSM_SHIM_NEST_NOBOOST_H
#define SNN_SSM_SHIM_NEST_NOBOOST_H
#include "config.h"
#undef HAVE_BOOST
#endif
