"""What schemathesis cannot know of our API by itself: how a body of TOML is sent. Its files name this one in SCHEMATHESIS_HOOKS."""

import schemathesis


@schemathesis.serializer("application/toml")
def toml(ctx, value):
    # Its values are texts, right and wrong ones; anything else would be another media type.
    return value if isinstance(value, (str, bytes)) else str(value)
