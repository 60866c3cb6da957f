"""A SpiNN-5 board on a loopback address, for sPyNNaker as it is: host side and programs unmodified.

Application cores execute ARM code in Unicorn; the monitor's part of the host's protocol is
imitated. Spikes, membranes and memory are the programs' own, to the bit. There are no cycle
counts: every tick lasts until all is done, no core is late and no packet is lost.

    with EmulatedBoard("127.0.0.9"):
        ...  # sPyNNaker with machine_name = 127.0.0.9

Unicorn, which this package imports, is under the GNU General Public License, version 2.
"""

from pynn_models.spinnaker.board.server import EmulatedBoard

__all__ = ["EmulatedBoard"]
