"""Starts a Ray cluster of two workers on this machine, prints its address, and ends it with its own input."""

import sys

from ray.cluster_utils import Cluster


def main() -> None:
    """A head that works on nothing, and two nodes of one processor each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    print(cluster.address, flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main()
