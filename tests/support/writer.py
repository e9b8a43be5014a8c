"""A client of several apiservers, run inside a machine: writes ConfigMaps and prints the names of those acknowledged.

`python writer.py AUTHORITY CERTIFICATE KEY COUNT LANES HOST...`. Who does not answer is passed over for the next one;
a name that is there already, because its answer was lost, is acknowledged by reading it.
"""

import http.client
import json
import ssl
import sys
import threading
import time

PATH = "/api/v1/namespaces/default/configmaps"
SECONDS = 120.0


def main() -> None:
    """Writes, then exits with 1 when some could not be written in time."""
    authority, certificate, key, count, lanes, *hosts = sys.argv[1:]
    context = ssl.create_default_context(cafile=authority)
    context.load_cert_chain(certificate, key)
    names = iter([f"w{number}" for number in range(int(count))])
    lock, missing = threading.Lock(), []

    def lane(first: int) -> None:
        link, at = None, first
        end = time.monotonic() + SECONDS
        while True:
            with lock:
                name = next(names, None)
            if name is None:
                return
            body = json.dumps({"metadata": {"name": name}, "data": {"name": name}})
            while True:
                if time.monotonic() > end:
                    missing.append(name)
                    return
                try:
                    link = link or http.client.HTTPSConnection(
                        hosts[at % len(hosts)], 6443, timeout=10, context=context
                    )
                    link.request("POST", PATH, body=body, headers={"Content-Type": "application/json"})
                    answer = link.getresponse()
                    answer.read()
                    if answer.status in (201, 409):
                        break
                except (OSError, http.client.HTTPException):
                    pass
                if link is not None:
                    link.close()
                link, at = None, at + 1
                time.sleep(0.2)
            with lock:
                print(name, flush=True)

    threads = [threading.Thread(target=lane, args=(number,)) for number in range(int(lanes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.exit(1 if missing else 0)


if __name__ == "__main__":
    main()
