"""What schemathesis has to be told: answers in lines of JSON are checked line by line, each as a list of what its lines say."""

import json
import os
import re

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


# What no chance comes to: what the registry holds, by which each of these operations does what it is for.
WORKING_BODIES = {
    "POST /admin/v1/find": {"patterns": ["*"]},
    "POST /admin/v1/pins": {"target": "team/app:latest", "reason": "in use"},
    "POST /admin/v1/trash/restore": {"target": "team/gone:one"},
}
WORKING_QUERIES = {
    "DELETE /admin/v1/pins": {"target": "team/app:v1"},
    "GET /admin/v1/usage/part": {"target": "team/app:v1"},
}
# Of operations that are to be asked for what is right; so that the others are not left out.
worked = set()


@schemathesis.hook
def before_call(ctx, case, kwargs):
    name = case.operation.label
    if name not in worked and case.meta is not None and case.meta.generation.mode.is_positive:
        if name in WORKING_BODIES:
            case.body = dict(WORKING_BODIES[name])
        if name in WORKING_QUERIES:
            case.query = dict(WORKING_QUERIES[name])
    # What is to be restored has to be there until then.
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if name == "POST /admin/v1/trash/empty" and is_positive and "POST /admin/v1/trash/restore" not in worked:
        case.body = {**case.body, "dryRun": True} if isinstance(case.body, dict) else {"dryRun": True}
    # A check that reads a byte in a second takes as long as it was asked to.
    rehash = case.body.get("rehash") if isinstance(case.body, dict) else None
    rate = rehash.get("bytesPerSecond") if isinstance(rehash, dict) else None
    if type(rate) is int and 1 <= rate < 1_000_000:
        rehash["bytesPerSecond"] = 1_000_000


@schemathesis.hook
def after_call(ctx, case, response):
    """Tells the test which operations have done what they are for."""
    name = case.operation.label
    if response.status_code == 200 and name not in worked:
        worked.add(name)
        with open(os.environ["FUZZ_WORKED"], "a", encoding="utf-8") as told:
            told.write(name + "\n")


TRACE = re.compile(r"\.m?[jt]s:\d|\bat \S+ \(|node_modules|SQLITE_|/src/")


@schemathesis.check
def no_stack_trace(ctx, response, case):
    """Nothing says anything of the registry's own insides."""
    found = TRACE.search(response.content.decode("utf-8", "replace"))
    assert found is None, f"a stack trace: {response.content[:2000]!r}"
