"""A table of generated network flows with attacks, to train on: 1,000 hosts, 100 flows each.

    python examples/flows.py flows.parquet
    bothways train flows.parquet --label label --sequence sequence_id --order step -o flows.bothways

docs/problems.md says what the attacks are, and how many of them any detector can find.
"""

from __future__ import annotations

import sys

import polars

from bothways.problems import flow_columns, intrusion_flows

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Say where to write it: python examples/flows.py flows.parquet")
    polars.DataFrame(flow_columns(*intrusion_flows(1000, 100, seed=0))).write_parquet(sys.argv[1])
    print(f"{sys.argv[1]}: 100,000 network flows of 1,000 hosts.")
