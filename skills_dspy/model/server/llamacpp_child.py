"""The process in which llama.cpp serves one model file, a child of the program: `python -m` this module.

It reads one line of JSON (what to serve, as `xllamacpp` is told it), answers with one (`address`, or `error`), and ends when
its input ends, and so with its parent, however that ends.
"""

import json
import os
import sys
from typing import Any


def main() -> None:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever the library prints is no answer
    server, answer = _started(json.loads(sys.stdin.readline()))
    print(json.dumps(answer), file=answers, flush=True)
    if server is not None:
        sys.stdin.read()
    os._exit(0)  # there is nothing to save, and requests on their way need not be waited for


def _started(order: dict[str, Any]) -> tuple[Any, dict[str, str]]:
    # Threads that wait by spinning are twenty times slower as soon as somebody else needs the processor: the embedding model.
    os.putenv("OMP_WAIT_POLICY", "PASSIVE")
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {order["name"]}
    params.api_keys = [order["key"]]  # or every page in a browser, and every user of this machine, could ask
    params.n_parallel, params.n_ctx = order["slots"], order["slots"] * order["window"]
    params.port = order["port"]
    params.endpoint_metrics, params.ui, params.verbosity = True, False, 1
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        return None, {"error": str(error)}
    return server, {"address": server.listening_address}


if __name__ == "__main__":
    main()
