"""What schemathesis has to be told: answers in lines of JSON are checked line by line, each as a list of what its lines say."""

import json

import schemathesis

LINES = "application/x-ndjson"


@schemathesis.deserializer(LINES)
def lines_of(ctx, response):
    return [json.loads(line) for line in response.content.splitlines()]


@schemathesis.hook
def before_load_schema(ctx, schema):
    for operations in schema["paths"].values():
        for operation in operations.values():
            for answer in operation["responses"].values():
                media = answer["content"].get(LINES)
                if media is not None:
                    media["schema"] = {"type": "array", "items": media["schema"]}


@schemathesis.hook
def before_call(ctx, case, kwargs):
    """A check that reads a byte in a second takes as long as it was asked to."""
    rehash = case.body.get("rehash") if isinstance(case.body, dict) else None
    rate = rehash.get("bytesPerSecond") if isinstance(rehash, dict) else None
    if type(rate) is int and 1 <= rate < 1_000_000:
        rehash["bytesPerSecond"] = 1_000_000
