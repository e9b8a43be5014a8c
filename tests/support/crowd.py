"""Strangers at a supervisor's door, run inside a server's machine until somebody ends it: `python crowd.py PORT COUNT`.

A third says nothing, a third sends garbage, a third stands in TLS and drips a header that never ends. Each comes from
an address of its own below 127.0.1.0, and comes again when it was hung up on. Prints a dot for each time it came again.
"""

import contextlib
import os
import socket
import ssl
import sys
import threading
import time

GARBAGE = os.urandom(200)
SLOW = 0.5  # seconds between two bytes


def main() -> None:
    """Until it is killed."""
    port, count = map(int, sys.argv[1:])
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    threading.stack_size(256 << 10)

    def stranger(number: int) -> None:
        while True:
            with contextlib.suppress(OSError), socket.socket() as link:
                link.bind((f"127.0.{1 + number // 250}.{number % 250 + 1}", 0))
                link.settimeout(60.0)
                link.connect(("127.0.0.1", port))
                _behave(link, number % 3, context)
            print(".", end="", flush=True)
            time.sleep(0.2)

    for number in range(count):
        threading.Thread(target=stranger, args=(number,), daemon=True).start()
    print("all here", flush=True)
    time.sleep(3600.0)


def _behave(link: socket.socket, kind: int, context: ssl.SSLContext) -> None:
    if kind == 0:
        link.recv(1)
    elif kind == 1:
        link.sendall(GARBAGE)
        link.recv(1)
        time.sleep(2.0)
    else:
        with context.wrap_socket(link) as inside:
            inside.sendall(b"GET /v1-rke2/config HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            while True:
                inside.sendall(b"x")
                time.sleep(SLOW)


if __name__ == "__main__":
    main()
