"""Reads the types of a package that Stainless generated: models of answers, and typed dictionaries of what is sent."""

import ast

from modules import Unknown, is_text, keywords, with_texts
from schemas import Schemas, nullable, with_text

# Says of a field that it may be missing or null, or both.
EITHER = "x-xtask-absent-or-null"


class Types(Schemas):
    def own(self, name):
        if name == "_types.FileTypes":
            return {"type": "string", "format": "binary"}
        return None

    def described(self, module, node, facts):
        if isinstance(node, ast.Call) and self.modules.resolve(module, node.func)[1:] == ("_utils.PropertyInfo",):
            for name, value in keywords(module, node, ("alias", "discriminator", "format")).items():
                if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
                    raise Unknown(module, node, "a property whose facts are no constants")
                if name == "format":
                    # How a value of a type that says so itself is written.
                    if value.value != "iso8601":
                        raise Unknown(module, node, "a property in a format that is not known")
                    continue
                facts[name] = value.value
        else:
            raise Unknown(module, node, "something beside a type that is not known")

    def members(self, module, definition):
        """A model or a typed dictionary. The texts of classes are left out: only newer versions have them."""
        kinds = [self.base(module, base) for base in definition.bases]
        typed = "TypedDict" in kinds or self.is_typed(module, definition)
        schema = {"type": "object", "properties": {}}
        required = []
        total = self.total(module, definition)
        for statement, text in with_texts(definition.body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                if statement.target.id == "__pydantic_extra__":
                    schema["additionalProperties"] = self.extra(module, statement)
                    continue
                read = self.entry(module, statement, text, total) if typed else self.member(module, statement, text)
                name, field, must = read
                if name in schema["properties"]:
                    raise Unknown(module, statement, "a field that is there twice")
                schema["properties"][name] = field
                required += [name] if must else []
            elif not is_text(statement) and not isinstance(statement, ast.Pass):
                raise Unknown(module, statement, f"something in the class {definition.name} that is not known")
        schema = {**schema, "required": required} if required else schema
        above = [kind for kind in kinds if isinstance(kind, dict)]
        return {"allOf": [*above, schema]} if above else schema

    def base(self, module, node):
        if self.is_called(module, node, "TypedDict"):
            return "TypedDict"
        kind, *rest = self.modules.resolve(module, node)
        if kind == "def" and isinstance(rest[0].defined[rest[1]], ast.ClassDef):
            return self.reference(*rest)
        if (kind, *rest) == ("runtime", "_models.BaseModel"):
            return "BaseModel"
        raise Unknown(module, node, "a class that is not of a kind that is known")

    def is_typed(self, module, definition, depth=0):
        """Whether a class is a typed dictionary by one that it extends."""
        for base in definition.bases:
            if self.is_called(module, base, "TypedDict"):
                return True
            kind, *rest = self.modules.resolve(module, base)
            if kind == "def" and depth < 20 and isinstance(rest[0].defined[rest[1]], ast.ClassDef):
                if self.is_typed(rest[0], rest[0].defined[rest[1]], depth + 1):
                    return True
        return False

    def total(self, module, definition):
        said = {one.arg: one.value for one in definition.keywords}
        if (
            said
            and (set(said) != {"total"} or not isinstance(said["total"], ast.Constant))
            or definition.decorator_list
        ):
            raise Unknown(module, definition.name, "a class that is not of a kind that is known")
        return said["total"].value is not False if said else True

    def extra(self, module, statement):
        inner = self.schema(module, statement.annotation)
        if "additionalProperties" not in inner:
            raise Unknown(module, statement, "further fields of a type that is not known")
        return inner["additionalProperties"]

    def entry(self, module, statement, text, must):
        """A field of a typed dictionary: its name on the wire, its schema, and whether it must be there."""
        if statement.value is not None:
            raise Unknown(module, statement, "a default in a typed dictionary")
        inner, facts = self.unwrapped(module, statement.annotation)
        while isinstance(inner, ast.Subscript) and self.is_called(module, inner.value, "Required", "NotRequired"):
            must = self.is_called(module, inner.value, "Required")
            inner, more = self.unwrapped(module, inner.slice)
            facts.update(more)
        name = facts.pop("alias", statement.target.id)
        return name, with_text(self.bounded(module, statement, self.schema(module, inner), facts), text), must

    def member(self, module, statement, text):
        """A field of a model. `Optional[…] = None` is a field that may be left out, or null, or both."""
        inner, facts = self.unwrapped(module, statement.annotation)
        may = isinstance(inner, ast.Subscript) and self.is_called(module, inner.value, "Optional")
        default = statement.value
        if isinstance(default, ast.Call) and ast.unparse(default.func) == "FieldInfo":
            said = keywords(module, default, ("alias", "default", "discriminator"))
            default = said.get("default")
            for name in ("alias", "discriminator"):
                if isinstance(said.get(name), ast.Constant):
                    facts[name] = said[name].value
        if default is not None and not (may and isinstance(default, ast.Constant) and default.value is None):
            raise Unknown(module, statement, "a default that is not known")
        name = facts.pop("alias", statement.target.id)
        if default is not None:
            schema = {**self.bounded(module, statement, self.schema(module, inner.slice), facts), EITHER: True}
        elif may:
            schema = nullable(self.bounded(module, statement, self.schema(module, inner.slice), facts))
        else:
            schema = self.bounded(module, statement, self.schema(module, inner), facts)
        return name, with_text(schema, text), default is None
