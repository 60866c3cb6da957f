"""What stands in for sPyNNaker's process in tests of its other end: it says what it is told to."""

import json
import os
import sys

import numpy as np

from export.samples.recording import Recording

for event in json.loads(os.environ["LIVE_EVENTS"]):
    if event[0] == "heard":
        print(json.dumps(["spikes", "input", 0, [int(n) for n in sys.stdin.readline().split()]]))
    elif event[0] == "end":
        recording = Recording("a board", 1.0, {"input": np.zeros((1, 3, 2), np.uint8)})
        recording.save("recording.safetensors")
        print(json.dumps(event))
    elif event[0] == "exit":
        print("it came to nothing", file=sys.stderr)
        sys.exit(3)
    else:
        print(json.dumps(event))
    sys.stdout.flush()
