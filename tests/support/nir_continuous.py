"""What the nodes of a NIR graph say, integrated in continuous time; the metadata is not looked at.

Between steps the leaky integrators, joined as the graph joins them, follow ``x' = A x`` exactly. At
the end of a step what is sent comes as a pulse of area ``value dt``, and thresholds look at the
membranes then.
"""

import numpy as np
from scipy.linalg import expm

STATES = ("LI", "I")


class Continuous:
    """A graph with steps of ``dt`` s; ``run(inputs)`` (L, sources) -> what every node sends."""

    def __init__(self, graph, dt):
        self.nodes, self.dt = graph.nodes, dt
        self.before = {name: [] for name in graph.nodes}
        for source, target in graph.edges:
            self.before[target].append(source)
        self.kind = {name: type(node).__name__ for name, node in graph.nodes.items()}
        self.places, size = {}, 0
        for name, node in graph.nodes.items():
            if self.kind[name] in STATES:
                self.places[name] = slice(size, size + len(node.r))
                size += len(node.r)
        rates = np.zeros((size, size))
        for name, at in self.places.items():
            node = graph.nodes[name]
            for source in self.before[name]:
                rates[at] += self._gain(name)[:, None] * self._of_states(source, size)
            if self.kind[name] == "LI":
                rates[at, at] -= np.diag(1 / node.tau)
        self.propagator, self.x = expm(rates * dt), np.zeros(size)

    def _gain(self, name):
        """``x' = gain * what arrives``."""
        node = self.nodes[name]
        return node.r / node.tau if self.kind[name] == "LI" else node.r

    def _of_states(self, name, size):
        """What a node sends, as a matrix on the states; 0 of what comes as pulses."""
        node, width = self.nodes[name], len(self.nodes[name].output_type["output"])
        assert width == 1
        width = int(node.output_type["output"][0])
        if self.kind[name] in STATES:
            return np.eye(size)[self.places[name]]
        if self.kind[name] == "Scale":
            return node.scale[:, None] * sum(
                (self._of_states(source, size) for source in self.before[name]),
                np.zeros((width, size)),
            )
        return np.zeros((width, size))

    def run(self, inputs):
        sent = {name: [] for name in self.nodes}
        leaky = {name: np.zeros(len(n.tau)) for name, n in self.nodes.items()
                 if self.kind[name] == "LIF"}
        for now in inputs:
            self.x = self.propagator @ self.x
            done = {}

            def value(name, now=now, done=done):
                """(what comes as a pulse, what states are) of a node, in this step."""
                if name not in done:
                    done[name] = self._value(name, now, value, sent, leaky)
                return done[name]

            for name in self.nodes:
                value(name)
            for name, (pulse, state) in done.items():
                sent[name].append(pulse + state)
        return {name: np.array(values) for name, values in sent.items()}

    def _value(self, name, now, value, sent, leaky):
        node, kind = self.nodes[name], self.kind[name]
        if kind == "Input":
            return now, 0 * now
        if kind == "Delay":
            late = np.rint(node.delay / self.dt).astype(int)
            (source,) = self.before[name]
            past = sent[source]
            found = np.array([
                past[-d][i] if d <= len(past) else 0.0 for i, d in enumerate(late)
            ])
            return found, 0 * found
        arriving = [value(source) for source in self.before[name] if not self._turns(source, name)]
        pulse = sum(a[0] for a in arriving)
        state = sum(a[1] for a in arriving)
        if kind in STATES:
            at = self.places[name]
            self.x[at] = self.x[at] + self._gain(name) * pulse * self.dt
            return 0 * self.x[at], self.x[at].copy()
        if kind == "LIF":
            v = np.exp(-self.dt / node.tau) * leaky[name] + node.r * pulse * self.dt / node.tau
            fired = (v > node.v_threshold).astype(float)
            leaky[name] = np.where(fired > 0, node.v_reset, v)
            return fired, 0 * fired
        if kind == "Threshold":
            fired = (pulse + state > node.threshold).astype(float)
            return fired, 0 * fired
        if kind == "Scale":
            return node.scale * pulse, node.scale * state
        if kind in ("Linear", "Affine"):
            bias = node.bias if kind == "Affine" else 0
            return node.weight @ pulse + bias, 0 * (node.weight @ pulse)
        return pulse, state  # Output

    def _turns(self, source, target):
        """Whether this edge is within the states, whose course is in the propagator."""
        if self.kind[target] not in STATES or self.kind[source] != "Scale":
            return False
        return all(self.kind[name] in STATES for name in self.before[source])
