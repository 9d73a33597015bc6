"""Reads a package that Stainless generated, or its successor: resources whose methods send typed dictionaries, and
models."""

import ast
import re

from modules import Modules, Unknown, is_text, keywords, text_of, with_texts
from package import Refused
from schemas import NEVER, UNREAD, UNSAID as UNSAID_KEY
from stainless_types import Types

RUNTIME = (
    "_models _types _utils _compat _response _legacy_response pagination _base_client _resource _files lib"
).split()
# What the generator leaves out of the code; absent here, it says nothing of what the service's document has.
UNSAID = [*NEVER, "status", "default", "deprecated", "style", "explode"]
CALLS = {f"self._{verb}": verb.upper() for verb in ("get", "post", "put", "patch", "delete")}
LIST = "self._get_api_list"
OPTIONS = ("extra_headers", "extra_query", "extra_body", "timeout", "query", "security")
# A success is answered with this; the package takes any, so UNSAID has the statuses.
SUCCESS = "200"
# How the one scheme is sent that these operations have.
SCHEMES = {"bearer_auth": {"type": "http", "scheme": "bearer"}}
BASE = re.compile(r"base_url = .*[\"']https?://")


def is_top(package, folder):
    name = f"{folder}/_client.py" if folder else "_client.py"
    return package.has(name) and package.text(name).startswith("# File generated from our OpenAPI spec by ")


class Reader:
    def __init__(self, package, top, wanted):
        self.modules = Modules(package, top, {top.rsplit("/", 1)[-1]}, RUNTIME)
        self.package, self.top, self.wanted = package, top, wanted
        self.types = Types(self.modules)
        self.unread = []

    def document(self):
        start = "/".join(filter(None, [self.top, "resources/"]))
        found = {}
        for name in sorted(self.package.names):
            if name.startswith(start) and name.endswith(".py"):
                text = self.package.text(name)
                if any(end in text for end in self.wanted.ends):
                    self.resource(self.modules.module(name), found)
        paths = {}
        for (verb, path), methods in self.wanted.chosen(found).items():
            # Of several for one operation, those that are to be used.
            current = [one for one in methods if not one[2]] or methods
            operation = (
                self.operation(*current[0])
                if len(current) == 1
                else {UNREAD: f"{current[1][0].name} line {current[1][1].lineno}: a second method for {verb} {path}"}
            )
            paths.setdefault(path, {})[verb.lower()] = operation
        return {
            "servers": [{"url": self.server()}],
            "paths": paths,
            "components": {"securitySchemes": SCHEMES, "schemas": self.types.finish()},
        }

    def server(self):
        """The one address that is the default."""
        start = f"{self.top}/" if self.top else ""
        addresses = set()
        for name in sorted(self.package.names):
            inner = name[len(start) :]
            if not name.startswith(start) or not re.fullmatch(r"(?:lib/)?[^/]+\.py", inner):
                continue
            if BASE.search(self.package.text(name)):
                for node in ast.walk(self.modules.module(name).tree):
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "base_url":
                        addresses |= addresses_of(node.value)
        if len(addresses) != 1:
            raise Refused(f"the address of the service is not found where it is known: {sorted(addresses)}")
        return addresses.pop()

    def resource(self, module, found):
        for definition in [one for one in module.tree.body if isinstance(one, ast.ClassDef)]:
            if "SyncAPIResource" not in [ast.unparse(base) for base in definition.bases]:
                continue
            for method in [one for one in definition.body if isinstance(one, ast.FunctionDef)]:
                try:
                    self.method(module, method, found)
                except Unknown as unknown:
                    self.unread.append(str(unknown))

    def method(self, module, method, found):
        calls = [
            node for node in ast.walk(method) if isinstance(node, ast.Call) and ast.unparse(node.func) in (*CALLS, LIST)
        ]
        for call in calls:
            name = ast.unparse(call.func)
            verb = CALLS.get(name, "GET")
            if name == LIST:
                verb = next((one.value.value.upper() for one in call.keywords if one.arg == "method"), verb)
            path = self.path(module, call.args[0] if call.args else call)
            if not self.wanted.has(verb, path):
                continue
            if len(calls) > 1:
                raise Unknown(module, call, f"a method that makes several requests, {method.name}")
            deprecated = any("deprecated" in ast.unparse(one) for one in method.decorator_list)
            found.setdefault((verb, path), []).append((module, method, deprecated, call))

    def path(self, module, node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            parts = [
                part.value if isinstance(part, ast.Constant) else "{" + ast.unparse(part.value) + "}"
                for part in node.values
            ]
            return "".join(parts)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "path_template" and node.args:
            return self.path(module, node.args[0])
        raise Unknown(module, node, "a path that is not known")

    def operation(self, module, method, deprecated, call):
        try:
            return self.read(module, method, deprecated, call)
        except Unknown as unknown:
            return {UNREAD: str(unknown)}

    def read(self, module, method, deprecated, call):
        media, sent = self.statements(module, method, call)
        said = {one.arg: one.value for one in call.keywords}
        path = self.path(module, call.args[0])
        of_list = ast.unparse(call.func) == LIST
        known = ("page", "options", "model", "method", "body") if of_list else ("body", "files", "options", "cast_to")
        keywords(module, ast.Call(call.func, [], call.keywords, lineno=call.lineno), known)
        options = self.options(module, said.get("options"))
        operation = {
            "description": told(method),
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in re.findall(r"\{([^}]*)\}", path)
            ],
            "security": self.security(module, options.get("security")),
        }
        if deprecated:
            operation["deprecated"] = True
        fields = {
            "body": self.fields(module, said.get("body"), sent),
            "query": self.fields(module, options.get("query"), sent),
        }
        both = None not in fields.values()
        if fields["query"] is not None:
            for name, field, must in self.chosen(module, fields["query"], both, path):
                # What stands in the query is written at the parameter as well.
                parameter = {"name": name, "in": "query", "schema": field, **({"required": True} if must else {})}
                operation["parameters"].append(parameter)
        if fields["body"] is not None:
            chosen = list(self.chosen(module, fields["body"], both, path))
            required = [name for name, _, must in chosen if must]
            schema = {"type": "object", "properties": {name: field for name, field, _ in chosen}}
            schema = {**schema, "required": required} if required else schema
            form = media.get("Content-Type", "application/json")
            operation["requestBody"] = {"required": bool(required), "content": {form: {"schema": schema}}}
        answer = self.page(module, said) if of_list else self.cast(module, said.get("cast_to"))
        content = {} if answer is None else {"content": {media.get("Accept", "application/json"): {"schema": answer}}}
        operation["responses"] = {SUCCESS: {"description": "", **content}}
        return operation

    def statements(self, module, method, call):
        """The headers that the method sets, and what it gives names to before it sends it."""
        media, sent = {}, {}
        for at, statement in enumerate(method.body):
            if isinstance(statement, ast.If) and ast.unparse(statement.test) == "files" and not statement.orelse:
                inner = statement.body
            else:
                inner = [statement]
            for one in inner:
                if (at == 0 and is_text(one)) or (isinstance(one, ast.Return) and one.value is call):
                    continue
                target = ast.unparse(one.targets[0]) if isinstance(one, ast.Assign) and len(one.targets) == 1 else None
                if target == "extra_headers":
                    media.update(headers(module, one))
                elif target == "body" and isinstance(one.value, ast.Call) and one.value.args:
                    if ast.unparse(one.value.func) not in ("deepcopy_minimal", "deepcopy_with_paths"):
                        raise Unknown(module, one, f"something in the method {method.name} that is not known")
                    sent["body"] = one.value.args[0]
                elif (
                    target == "files"
                    and isinstance(one.value, ast.Call)
                    and ast.unparse(one.value.func) == "extract_files"
                ):
                    continue
                elif not is_check(one):
                    raise Unknown(module, one, f"something in the method {method.name} that is not known")
        return media, sent

    def options(self, module, node):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "make_request_options":
            return keywords(module, node, OPTIONS)
        raise Unknown(module, node or "", "options that are not known")

    def security(self, module, node):
        if node is None:
            return [{name: []} for name in SCHEMES]
        if isinstance(node, ast.Dict) and all(
            isinstance(key, ast.Constant) and key.value in SCHEMES for key in node.keys
        ):
            return [{key.value: [] for key in node.keys}]
        raise Unknown(module, node, "a security that is not known")

    def fields(self, module, node, sent):
        """What is sent, by the names in the call, and the class that types it; none when nothing is."""
        if node is None:
            return None
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "maybe_transform" and len(node.args) == 2:
            names, kind = node.args
            names = sent.get(names.id) if isinstance(names, ast.Name) else names
            found, *rest = self.modules.resolve(module, kind)
            if isinstance(names, ast.Dict) and all(isinstance(key, ast.Constant) for key in names.keys):
                if found == "def" and isinstance(rest[0].defined[rest[1]], ast.ClassDef):
                    return {key.value for key in names.keys}, *rest
        raise Unknown(module, node, "a body or a query that is not known")

    def chosen(self, module, fields, both, path):
        """The fields of a typed dictionary that go there: of one for body and query, those that the call names."""
        names, of, name = fields
        definition = of.defined[name]
        total = self.types.total(of, definition)
        bases = [self.types.base(of, base) for base in definition.bases]
        if bases != ["TypedDict"]:
            raise Unknown(of, definition.name, "a class that is not of a kind that is known")
        in_path = re.findall(r"\{([^}]*)\}", path)
        for statement, text in with_texts(definition.body):
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                key = statement.target.id
                if key not in in_path and (key in names or not both):
                    yield self.types.entry(of, statement, text, total)
            elif not is_text(statement):
                raise Unknown(of, statement, f"something in the class {name} that is not known")

    def page(self, module, said):
        """A list: its items are said, and what else is beside them is not."""
        model, page = said.get("model"), said.get("page")
        if isinstance(page, ast.Subscript) and model is not None:
            kind, *rest = self.modules.resolve(module, page.value)
            if (
                kind == "runtime"
                and rest[0].startswith("pagination.")
                and ast.unparse(page.slice) == ast.unparse(model)
            ):
                items = {"type": "array", "items": self.types.schema(module, model)}
                return {"type": "object", "properties": {"data": items}, "required": ["data"], UNSAID_KEY: ["field"]}
        raise Unknown(module, page or "", "a list that is not known")

    def cast(self, module, node):
        if node is None:
            raise Unknown(module, "", "a method that does not say what is answered")
        if isinstance(node, (ast.Name, ast.Attribute)):
            kind, *rest = self.modules.resolve(module, node)
            if kind == "runtime" and rest[0].endswith(".HttpxBinaryResponseContent"):
                return {"type": "string", "format": "binary"}
            if kind == "runtime" and rest[0] == "_types.NoneType":
                return None
        return self.types.schema(module, node)


def addresses_of(node):
    """The addresses that an expression may come to, as far as they are constants."""
    if isinstance(node, ast.IfExp):
        return addresses_of(node.body) | addresses_of(node.orelse)
    if isinstance(node, ast.JoinedStr) and all(isinstance(part, ast.Constant) for part in node.values):
        return {"".join(part.value for part in node.values)}
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "://" in node.value:
        return {node.value}
    return set()


def headers(module, statement):
    """The headers that `{"Name": "value", **(extra_headers or {})}` sets."""
    found = {}
    if isinstance(statement.value, ast.Dict):
        for key, value in zip(statement.value.keys, statement.value.values):
            if key is None:
                continue
            if not (
                isinstance(key, ast.Constant)
                and key.value in ("Accept", "Content-Type")
                and isinstance(value, ast.Constant)
            ):
                raise Unknown(module, statement, "a header that is not known")
            found[key.value] = value.value
        return found
    raise Unknown(module, statement, "headers that are not known")


def is_check(statement):
    """`if not x: raise …`"""
    return (
        isinstance(statement, ast.If)
        and isinstance(statement.test, ast.UnaryOp)
        and not statement.orelse
        and all(isinstance(one, ast.Raise) for one in statement.body)
    )


def told(method):
    """What the text of a method says of its operation: what stands before its arguments."""
    return re.split(r"^Args:$", text_of(method), maxsplit=1, flags=re.MULTILINE)[0].strip()
