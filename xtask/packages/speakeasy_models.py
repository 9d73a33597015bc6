"""Reads the models of a package that Speakeasy generated: pydantic classes, whose fields say where values go."""

import ast

from modules import Unknown, constant, is_text, keywords, with_texts
from schemas import Schemas, nullable, plain_value, with_text

# What stands beside a type says where its value goes.
METADATA = ("path", "query", "header", "request", "multipart", "security")


class Models(Schemas):
    def own(self, name):
        return {"types.UnrecognizedStr": {"type": "string"}, "types.UnrecognizedInt": {"type": "integer"}}.get(name)

    def generic(self, module, node, name, parts):
        if name == "types.Nullable" and len(parts) == 1:
            return nullable(self.schema(module, parts[0]))
        return super().generic(module, node, name, parts)

    def described(self, module, node, facts):
        if not isinstance(node, ast.Call):
            raise Unknown(module, node, "something beside a type that is not known")
        _, *rest = self.modules.resolve(module, node.func)
        if rest[0] == "pydantic.Field":
            self.field(module, node, facts)
        elif rest[0] == "utils.FieldMetadata":
            facts.setdefault("metadata", {}).update(keywords(module, node, METADATA))
        elif rest[0] == "pydantic.functional_validators.AfterValidator" and len(node.args) == 1 and not node.keywords:
            facts["const"] = self.checked_constant(module, node.args[0])
        else:
            raise Unknown(module, node, "something beside a type that is not known")

    def checked_constant(self, module, node):
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            if self.modules.resolve(module, node.func) == ("runtime", "utils.validate_const"):
                try:
                    return constant(node.args[0])
                except KeyError:
                    pass
        raise Unknown(module, node, "a validator that is not known")

    def members(self, module, definition):
        if self.is_enum(module, definition):
            return self.values(module, definition)
        self.only_base(module, definition)
        schema = {"type": "object", "properties": {}}
        required = []
        for statement, text in with_texts(definition.body):
            if is_text(statement):
                schema = with_text(schema, statement.value.value) if statement is definition.body[0] else schema
            elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                if statement.target.id == "__pydantic_extra__":
                    schema["additionalProperties"] = self.extra(module, statement)
                    continue
                name, field, must, _ = self.member(module, statement, text)
                if name in schema["properties"]:
                    raise Unknown(module, statement, "a field that is there twice")
                schema["properties"][name] = field
                required += [name] if must else []
            elif not self.says_nothing(statement):
                raise Unknown(module, statement, f"something in the class {definition.name} that is not known")
        return {**schema, "required": required} if required else schema

    def only_base(self, module, definition):
        bases = [self.modules.resolve(module, base) for base in definition.bases]
        if bases != [("runtime", "types.BaseModel")] or definition.keywords or definition.decorator_list:
            raise Unknown(module, definition.name, "a class that is not of a kind that is known")

    def is_enum(self, module, definition):
        bases = [ast.unparse(base) for base in definition.bases]
        return bases in (["str", "Enum"], ["int", "Enum"])

    def values(self, module, definition):
        """A class of values; open when its metaclass takes others too."""
        values = []
        for statement in definition.body:
            if (
                isinstance(statement, ast.Assign)
                and isinstance(statement.value, ast.Constant)
                and plain_value(statement.value.value)
            ):
                values.append(statement.value.value)
            elif not is_text(statement):
                raise Unknown(module, statement, f"something in the class {definition.name} that is not known")
        words = [f"{one.arg}={ast.unparse(one.value)}" for one in definition.keywords]
        kind = {"type": "integer" if ast.unparse(definition.bases[0]) == "int" else "string"}
        if words not in ([], ["metaclass=utils.OpenEnumMeta"]):
            raise Unknown(module, definition.name, "a class of values that is not of a kind that is known")
        closed = {**kind, "enum": values}
        return {"anyOf": [closed, kind]} if words else closed

    def says_nothing(self, statement):
        """Methods that write a model or lead to its further fields, and its settings."""
        if isinstance(statement, ast.FunctionDef):
            return statement.name in ("serialize_model", "additional_properties")
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            return ast.unparse(statement.targets[0]) == "model_config"
        return isinstance(statement, ast.Pass)

    def extra(self, module, statement):
        inner = self.schema(module, statement.annotation)
        if "additionalProperties" not in inner:
            raise Unknown(module, statement, "further fields of a type that is not known")
        return inner["additionalProperties"]

    def member(self, module, statement, text):
        """A field: its name on the wire, its schema, whether it must be there, and what says where it stands."""
        inner, facts = self.unwrapped(module, statement.annotation)
        must, null = True, False
        while isinstance(inner, ast.Subscript):
            kind, *rest = self.modules.resolve(module, inner.value)
            if rest[0] in ("typing.Optional", "types.OptionalNullable"):
                must = False
            elif rest[0] != "types.Nullable":
                break
            null |= rest[0] != "typing.Optional"
            inner, more = self.unwrapped(module, inner.slice)
            facts.update(more)
        metadata = facts.pop("metadata", {})
        name = facts.pop("alias", statement.target.id)
        default = self.default(module, statement, must, facts)
        if self.is_file(module, metadata):
            schema = {"type": "string", "format": "binary"}
        else:
            schema = self.bounded(module, statement, self.schema(module, inner), facts)
        schema = nullable(schema) if null else schema
        if default is not None:
            schema = {**schema, "default": default}
        return name, with_text(schema, text), must, metadata

    def is_file(self, module, metadata):
        node = metadata.get("multipart")
        if node is None or (isinstance(node, ast.Constant) and node.value is True):
            return False
        if isinstance(node, ast.Call):
            said = {one.arg: ast.unparse(one.value) for one in node.keywords}
            if said in ({"file": "True"}, {"json": "True"}) and not node.args:
                return "file" in said
        raise Unknown(module, node, "a part of a form that is not known")

    def default(self, module, statement, must, facts):
        """The default of a field: none when it has none, or when it only says that the field may be left out."""
        value = facts.pop("default", None) if statement.value is None else statement.value
        if value is None:
            if not must and statement.value is None:
                raise Unknown(module, statement, "a field that may be left out and has no default")
            return None
        if (
            isinstance(value, ast.Name)
            and self.modules.resolve(module, value) == ("runtime", "types.UNSET")
            and not must
        ):
            return None
        try:
            value = constant(value)
        except KeyError:
            raise Unknown(module, statement, "a default that is no constant") from None
        if "const" in facts and facts["const"] == value:
            return None
        if must or not plain_value(value):
            raise Unknown(module, statement, "a default that is not known")
        return value
