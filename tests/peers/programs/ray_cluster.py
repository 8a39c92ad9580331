"""A Ray cluster of two nodes on this machine, for test_ray.py.

It prints its address. Then each line of standard input is an order, whose end is a line "done":
`worker` kills a process that runs a task of `tritonclient infer`, and `node` kills the second node.
The end of standard input ends the cluster.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from ray.cluster_utils import Cluster

STORE = 100 << 20


def parents() -> dict[int, int]:
    found = {}
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                found[int(place.name)] = int(
                    (place / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue  # it has ended
    return found


def descends(process: int, of: int, parent: dict[int, int]) -> bool:
    while process and process != of:
        process = parent.get(process, 0)
    return process == of


def tasks() -> list[int]:
    """The processes of this cluster that run a task of the job."""
    found, parent = [], parents()
    for process in parent:
        try:
            title = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        task = title.startswith(b"ray::") and b"infer_range" in title
        if task and descends(process, os.getpid(), parent):
            found.append(process)
    return found


def main() -> None:
    node = {"num_cpus": 1, "object_store_memory": STORE}
    head = {**node, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        second = cluster.add_node(**node)
        cluster.wait_for_nodes()
        print(cluster.address, flush=True)
        for line in sys.stdin:
            if line == "worker\n":
                while not (found := tasks()):
                    time.sleep(0.05)
                os.kill(found[0], signal.SIGKILL)
            elif line == "node\n":
                cluster.remove_node(second, allow_graceful=False)
            print("done", flush=True)
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
