"""Starts the command line: `dmp`, or `python -m clients.cli`."""

import os
import sys

INTERRUPTED = 130


def main() -> None:
    """Runs one command and exits with its code; Ctrl-C ends it without a traceback, at any time."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without ✓ gets a ?, not an error
    try:
        # Loaded here, so that a Ctrl-C while loading is no traceback either.
        from clients.cli.app import app  # noqa: PLC0415

        app(prog_name="dmp")
    except KeyboardInterrupt:
        sys.stdout.flush()
        os._exit(INTERRUPTED)


if __name__ == "__main__":
    main()
