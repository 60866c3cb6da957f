"""The grids of quantisation-aware training, which are part of what a checkpoint's arrays mean.

Training rounds to them (:mod:`snn_ssm.model.quantise`), and lowering rounds again to the same
numbers. Imports no torch.
"""

DECAY_GRID = 2.0**15  # SpiNNaker computes a stock synapse's decay from an s16.15 exponent
# Units of that grid. Beyond 496 steps, the chip's input scale of a synapse may overflow; a time
# constant much below an eighth of a step is one that simulators refuse.
SLOWEST_DECAY, FASTEST_DECAY = 66, 2**18
POLE_GRID = 2.0**31  # SpiNNaker's native cell holds a pole in Q0.31, real and imaginary part each
POLE_RADIUS = POLE_GRID - 1  # the largest |abar| in its units: inside of the unit circle
