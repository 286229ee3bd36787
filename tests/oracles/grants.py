"""Verifies a grant with two JOSE libraries of others; prints its header and claims as they read them.

    python grants.py FILE     with {"token", "jwks", "issuer", "audience", "now"}
"""

import json
import sys

import jwt
from joserfc import jwt as jose
from joserfc.jwk import ECKey, KeySet

with open(sys.argv[1], encoding="utf-8") as stream:
    given = json.load(stream)

keys = KeySet.import_key_set(given["jwks"])
read = jose.decode(given["token"], keys, algorithms=["ES256"])
registry = jose.JWTClaimsRegistry(
    now=given["now"],
    iss={"essential": True, "value": given["issuer"]},
    aud={"essential": True, "value": given["audience"]},
    exp={"essential": True},
    nbf={"essential": True},
    iat={"essential": True},
    jti={"essential": True},
    sub={"essential": True},
)
registry.validate(read.claims)

kid = jwt.get_unverified_header(given["token"])["kid"]
(key,) = [key for key in given["jwks"]["keys"] if key["kid"] == kid]
same = jwt.decode(
    given["token"],
    jwt.PyJWK(key).key,
    algorithms=["ES256"],
    audience=given["audience"],
    issuer=given["issuer"],
    # The clock of the test is not the clock of this machine.
    options={"verify_exp": False, "verify_nbf": False, "verify_iat": False},
)
assert same == read.claims, "the libraries read different claims"

public = {name: value for name, value in key.items() if name in ("kty", "crv", "x", "y")}
json.dump({"header": read.header, "claims": read.claims, "thumbprint": ECKey.import_key(public).thumbprint()}, sys.stdout)
