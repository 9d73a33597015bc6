"""Reads a file of requests as a careful script would: each line is parsed, its custom_id is a text that no other line
has, its method is POST, its url that of the first line, and its body an object with a model and messages.

Usage: check.py json|orjson|msgspec FILE
"""

import sys

loader, path = sys.argv[1:]
ids, first, count = set(), None, 0
if loader == "msgspec":
    import msgspec

    class Message(msgspec.Struct):
        role: str
        content: str

    class Body(msgspec.Struct):
        model: str
        messages: list[Message]

    class Line(msgspec.Struct):
        custom_id: str
        method: str
        url: str
        body: Body

    decode = msgspec.json.Decoder(Line).decode
    with open(path, "rb") as lines:
        for text in lines:
            line = decode(text)
            first = first or line.url
            if line.method != "POST" or line.url != first:
                sys.exit(f"line {count + 1}: method or url")
            ids.add(line.custom_id)
            count += 1
else:
    loads = __import__(loader).loads
    with open(path, "rb") as lines:
        for text in lines:
            line = loads(text)
            body, custom_id = line["body"], line["custom_id"]
            first = first or line["url"]
            if line["method"] != "POST" or line["url"] != first or not isinstance(custom_id, str):
                sys.exit(f"line {count + 1}: method, url or custom_id")
            if not isinstance(body["model"], str) or not isinstance(body["messages"], list):
                sys.exit(f"line {count + 1}: body")
            for message in body["messages"]:
                if not isinstance(message["role"], str) or not isinstance(message["content"], str):
                    sys.exit(f"line {count + 1}: messages")
            ids.add(custom_id)
            count += 1
if len(ids) != count:
    sys.exit("a custom_id is there twice")
print(f"{count} request lines")
