"""Starts servers quickly, to be killed: imports everything once, then forks one for each line it reads.

A line of standard input holds the arguments of `python -m authz` as JSON, and is answered with the pid of
the server. Nothing of gRPC exists before the fork, and nobody waits for a server: it may be killed any time.
"""

import json
import os
import signal
import sys

from authz.__main__ import main


def serve() -> None:
    """One server after another, until standard input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so no server is left as a zombie
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(2, 1)
            os._exit(main(json.loads(line)))
        print(pid, flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    serve()
