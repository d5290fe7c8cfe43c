"""What only a network can do to a sample, in a network of its own."""

from lab import main
from lab.faults import add_sameness, of
from lab.network import own_network

own_network()
for fault in of("network"):
    add_sameness(fault)

main()
