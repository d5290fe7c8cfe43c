"""What ends by time alone: the timeouts, and what TCP itself gives up. All of it waits together, in
a network of its own where TCP has little patience."""

from lab import main
from lab.faults import add_sameness, of
from lab.network import own_network, sysctl

own_network()
sysctl("tcp_syn_retries", 1)  # 3 s
sysctl("tcp_syn_linear_timeouts", 0)
sysctl("tcp_retries2", 1)  # 0.6 s
for fault in of("silence"):
    add_sameness(fault, together=True)

main()
