"""What the nodes of a graph mean: a file for each kind, registered here."""

from export.interchange.nodes.convolution import CONV1D, CONV2D
from export.interchange.nodes.delay import DELAY
from export.interchange.nodes.flatten import FLATTEN
from export.interchange.nodes.integrators import CURRENT_INTEGRATOR, INTEGRATOR, LEAKY_INTEGRATOR
from export.interchange.nodes.kind import NodeRule, Stage
from export.interchange.nodes.linear import AFFINE, LINEAR, SCALE
from export.interchange.nodes.neurons import CURRENT_LEAKY, INTEGRATE_AND_FIRE, LEAKY
from export.interchange.nodes.pooling import AVERAGE_POOL, SUM_POOL
from export.interchange.nodes.threshold import THRESHOLD
from pynn_models.registry import Registry

NODES: Registry[NodeRule] = Registry(
    "node of NIR", LINEAR, AFFINE, SCALE, CONV1D, CONV2D, SUM_POOL, AVERAGE_POOL, FLATTEN, DELAY,
    THRESHOLD, LEAKY, INTEGRATE_AND_FIRE, CURRENT_LEAKY, LEAKY_INTEGRATOR, INTEGRATOR,
    CURRENT_INTEGRATOR,
)  # fmt: skip

__all__ = ["NODES", "NodeRule", "Stage"]
