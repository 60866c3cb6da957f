"""What comes with the package: trained checkpoints, 200 test images of MNIST, configurations.

Nothing comes in; paths of files go out, found beside this module wherever it was installed. The
tasks read the images, the training the configurations, the demo all of them.
"""

from snn_ssm.shipped.paths import (
    CHECKPOINTS,
    ShippedError,
    checkpoint,
    configurations,
    images,
    related,
)

__all__ = ["CHECKPOINTS", "ShippedError", "checkpoint", "configurations", "images", "related"]
