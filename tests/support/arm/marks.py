"""What tests of ARM code need."""

import pytest
from support.arm.runner import missing_tools

MISSING = ", ".join(missing_tools())
needs_arm = pytest.mark.skipif(
    bool(MISSING), reason=f"not installed: {MISSING}; Debian: gcc-arm-none-eabi, qemu-user"
)
