// The operators by name, for float (f32) and double (f64): plain C on arrays of numbers, with no
// header of torch's and for no version of it. Their parts are channels, columns or numbers.
#include "share.h"

#include "chunks.h"
#include "gate.h"
#include "mix.h"
#include "norm.h"
#include "spikes.h"

EXPORT(tables_forward)
EXPORT(tables_backward)
EXPORT(chunks_forward)
EXPORT(chunks_backward)
EXPORT(norm_forward)
EXPORT(norm_backward)
EXPORT(norm_moments)
EXPORT(norm_apply)
EXPORT(norm_sums)
EXPORT(norm_gradient)
EXPORT(gate_forward)
EXPORT(gate_backward)
EXPORT(step_backward)
EXPORT(ternary_forward)
EXPORT(ternary_backward)
EXPORT(mix)
EXPORT(mix_weight)
