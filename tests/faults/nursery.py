"""Starts servers quickly, to be killed: imports everything once, then forks one for each line it reads.

A line of standard input holds the arguments of `python -m authz` as JSON. Three lines are answered: the
server's pid, what the server says itself, and how it ended. Nothing of gRPC exists before the fork.
"""

import json
import os
import sys

from authz.__main__ import main


def serve() -> None:
    """One server after another, until standard input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            os._exit(main(json.loads(line)))
        print(f"pid {pid}", flush=True)  # noqa: T201 - the protocol
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    serve()
