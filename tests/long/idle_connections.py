#!/usr/bin/env python3
"""Idle keep-alive connections, 2,000 unless said otherwise, held while a good client asks: its 99th
percentile must stay under twice what it is without them. Not part of ctest: it needs a machine with
nothing else to do.

    tests/long/idle_connections.py [N]
Environment: STRONGROOM_BIN (folder with strongroomd and strongroom).
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import crowd

crowd.SLACK_MS = 0

if __name__ == "__main__":
    found = crowd.idle(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
    print(json.dumps(found, indent=1))
    sys.exit(0 if found["p99_ms"] < 2 * found["baseline_p99_ms"] else 1)
