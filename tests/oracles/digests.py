"""Recomputes digests with the canonical JSON of somebody else.

    python digests.py FILE     with a JSON list of the objects that are hashed; prints a JSON list of digests
"""

import hashlib
import json
import sys

import rfc8785

with open(sys.argv[1], encoding="utf-8") as stream:
    asked = json.load(stream)
json.dump(["sha256:" + hashlib.sha256(rfc8785.dumps(item)).hexdigest() for item in asked], sys.stdout)
