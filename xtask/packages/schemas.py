"""Turns annotations of Python into schemas of OpenAPI 3.1: what both generators write in the same way."""

import ast
import math

from modules import Unknown, constant, keywords

# Keys of the document that OpenAPI does not have: what could not be read, and what this kind of source never says.
UNREAD = "x-xtask-unread"
UNSAID = "x-xtask-unsaid"

# What neither generator writes into its code.
NEVER = (
    "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern minItems maxItems "
    "uniqueItems minProperties maxProperties format choice condition readOnly writeOnly allowReserved allowEmptyValue "
    "encoding header links callbacks text"
).split()

PLAIN = {
    "builtins.str": {"type": "string"},
    "builtins.int": {"type": "integer"},
    "builtins.float": {"type": "number"},
    "builtins.bool": {"type": "boolean"},
    "builtins.object": {},
    "builtins.list": {"type": "array"},
    "builtins.dict": {"type": "object"},
    "typing.Any": {},
    "datetime.date": {"type": "string", "format": "date"},
    "datetime.datetime": {"type": "string", "format": "date-time"},
}
LISTS = ("typing.List", "typing.Sequence", "typing.Iterable", "builtins.list")
MAPS = ("typing.Dict", "typing.Mapping", "builtins.dict")
# Of a call of pydantic's Field, by the type that it bounds.
BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
}
LENGTHS = {
    "min_length": {"string": "minLength", "array": "minItems", "object": "minProperties"},
    "max_length": {"string": "maxLength", "array": "maxItems", "object": "maxProperties"},
}


class Schemas:
    """The schemas of one package. A kind of package says what its own names mean, and how its classes are read."""

    def __init__(self, modules):
        self.modules = modules
        self.components = {}
        self.open = []

    # For each kind of package.

    def own(self, name):
        """The schema of a name of the generator's library, or none."""
        raise NotImplementedError

    def generic(self, module, node, name, inner):
        """The schema of `name[inner]` for a name of the generator's library."""
        raise Unknown(module, node, "a type that is not known")

    def described(self, module, node, facts):
        """Facts of what stands beside a type in `Annotated`, added to `facts`."""
        raise NotImplementedError

    def members(self, module, definition):
        """The schema of a class."""
        raise NotImplementedError

    # For all of them.

    def reference(self, module, name):
        key = ".".join([*self.modules.dotted(module.name), name])
        if key not in self.components:
            self.components[key] = None
            self.open.append((key, module, name))
        return {"$ref": f"#/components/schemas/{key}"}

    def finish(self):
        """Reads what was referred to, and what that refers to; a class that cannot be read says so in its place."""
        while self.open:
            key, module, name = self.open.pop()
            try:
                self.components[key] = self.definition(module, name)
            except Unknown as unknown:
                self.components[key] = {UNREAD: str(unknown)}
        return self.components

    def definition(self, module, name):
        node = module.defined[name]
        if isinstance(node, ast.ClassDef):
            return self.members(module, node)
        if isinstance(node, ast.Call):
            if (
                self.modules.resolve(module, node.func)[1:] == ("typing_extensions.TypeAliasType",)
                and len(node.args) == 2
            ):
                node = node.args[1]
        schema = self.schema(module, node)
        return with_text(schema, module.texts.get(name))

    def schema(self, module, node):
        if isinstance(node, ast.Constant):
            if node.value is None:
                return {"type": "null"}
            if isinstance(node.value, str):
                return self.schema(module, quoted(module, node))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return union([self.schema(module, node.left), self.schema(module, node.right)])
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self.single(module, node)
        if isinstance(node, ast.Subscript):
            return self.subscript(module, node)
        raise Unknown(module, node, "a type that is not known")

    def single(self, module, node):
        kind, *rest = self.modules.resolve(module, node)
        if kind == "def":
            return self.reference(*rest)
        found = PLAIN.get(rest[0]) if kind == "other" else self.own(rest[0]) if kind == "runtime" else None
        if found is None:
            raise Unknown(module, node, "a type that is not known")
        return dict(found)

    def subscript(self, module, node):
        kind, *rest = self.modules.resolve(module, node.value)
        name = rest[0] if kind in ("other", "runtime") else None
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        plain = name.replace("typing_extensions.", "typing.") if kind == "other" else None
        if plain == "typing.Optional" and len(parts) == 1:
            return nullable(self.schema(module, parts[0]))
        if plain == "typing.Union":
            return union([self.schema(module, part) for part in parts])
        if plain == "typing.Literal":
            return self.literal(module, node, parts)
        if plain in LISTS and len(parts) == 1:
            return {"type": "array", "items": self.schema(module, parts[0])}
        if plain in MAPS and len(parts) == 2:
            if self.schema(module, parts[0]) != {"type": "string"}:
                raise Unknown(module, node, "a map whose keys are not texts")
            return {"type": "object", "additionalProperties": self.schema(module, parts[1])}
        if plain == "typing.Annotated" and len(parts) > 1:
            inner, beside = self.unwrapped(module, node)
            return self.bounded(module, node, self.schema(module, inner), beside)
        if kind == "runtime":
            return self.generic(module, node, name, parts)
        raise Unknown(module, node, "a type that is not known")

    def literal(self, module, node, parts):
        values = []
        for part in parts:
            try:
                value = constant(part)
            except KeyError:
                raise Unknown(module, node, "a literal that is no constant") from None
            if not plain_value(value):
                raise Unknown(module, node, "a literal that JSON does not have")
            values.append(value)
        return {"const": values[0]} if len(values) == 1 else {"enum": values}

    def unwrapped(self, module, node):
        """What is within `Annotated[…]`, however often, and all that stands beside it."""
        beside = []
        while isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple) and self.is_annotated(module, node):
            beside += node.slice.elts[1:]
            node = node.slice.elts[0]
        facts = {}
        for one in beside:
            self.described(module, one, facts)
        return node, facts

    def is_annotated(self, module, node):
        return self.is_called(module, node.value, "Annotated")

    def is_called(self, module, node, *names):
        """Whether a node is one of these names of typing."""
        if not isinstance(node, (ast.Name, ast.Attribute)):
            return False
        kind, *rest = self.modules.resolve(module, node)
        return kind == "other" and rest[0] in {
            f"{of}.{name}" for of in ("typing", "typing_extensions") for name in names
        }

    def field(self, module, node, facts):
        """What a call of pydantic's Field says."""
        known = (*BOUNDS, *LENGTHS, "alias", "deprecated", "description", "default", "discriminator")
        for name, value in keywords(module, node, known).items():
            try:
                found = constant(value)
            except KeyError:
                raise Unknown(module, node, "a field whose facts are no constants") from None
            if found is None and name != "default" or name in facts or not plain_value(found):
                raise Unknown(module, node, "a field with facts that are not known")
            facts[name] = found

    def bounded(self, module, node, schema, facts):
        """A schema with the facts that bound its values."""
        more = {}
        for name, value in facts.items():
            if name in BOUNDS:
                more[BOUNDS[name]] = value
            elif name in LENGTHS:
                keyword = LENGTHS[name].get(schema.get("type"))
                if keyword is None:
                    raise Unknown(module, node, "a length of what is neither text nor list nor map")
                more[keyword] = value
            elif name == "description":
                more["description"] = value
            elif name == "deprecated":
                if value is not False:
                    more["deprecated"] = True
            elif name == "discriminator":
                more["discriminator"] = {"propertyName": value}
            elif name == "const":
                if schema.get("const") != value and schema.get("const") is not value:
                    raise Unknown(module, node, "a constant that is not the type's")
            elif name == "format":
                more["format"] = value
        return {**schema, **more}


def plain_value(value):
    """Whether JSON can hold a constant as it is."""
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int):
        return abs(value) < 1 << 63
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)


def quoted(module, node):
    try:
        return ast.parse(node.value, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unknown(module, node, "a type that is no expression") from None


def union(choices):
    """An open list of values says so by its second alternative, any text or number."""
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def nullable(schema):
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def with_text(schema, text):
    text = clean(text)
    if not text:
        return schema
    own = schema.get("description")
    return {**schema, "description": text if own is None else f"{own}\n{text}"}


def clean(text):
    """A text without the escapes that generators put before quotes."""
    return (text or "").replace('\\"', '"').strip()
