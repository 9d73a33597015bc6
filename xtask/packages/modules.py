"""Parses the files of a package and follows names through their imports; never runs them."""

import ast
import builtins
import textwrap

from package import Refused


class Unknown(Exception):
    """A construct that this reader does not know: its file, its line and its text."""

    def __init__(self, module, node, why):
        try:
            text = " ".join(ast.unparse(node).split()) if isinstance(node, ast.AST) else str(node)
        except (RecursionError, ValueError):
            text = type(node).__name__
        cut = text if len(text) <= 120 else text[:120] + "…"
        line = getattr(node, "lineno", None)
        self.where = module.name if line is None else f"{module.name} line {line}"
        super().__init__(f"{self.where}: {why}: {cut}")


class Module:
    """A file, and what its top level binds: definitions, with the text that stands after them, and imports."""

    def __init__(self, name, tree):
        self.name = name
        self.tree = tree
        self.defined = {}
        self.texts = {}
        self.imported = {}
        self.dynamic = {}
        self.twice = set()


class Modules:
    """The modules of one package. `top` is the folder of the package within what was opened; `runtime` are the modules
    of the generator's own library, whose names are known by themselves and are not looked into."""

    def __init__(self, package, top, names, runtime):
        self.package = package
        self.top = top
        self.names = names
        self.runtime = runtime
        self.parsed = {}

    def path(self, dotted):
        """The file of a module of the package, or none."""
        base = "/".join(filter(None, [self.top, *dotted]))
        for name in (f"{base}.py", f"{base}/__init__.py" if base else "__init__.py"):
            if self.package.has(name):
                return name
        return None

    def dotted(self, name):
        """The parts of the name of the module in a file, below the package."""
        inner = name[len(self.top) + 1 :] if self.top else name
        parts = inner[: -len(".py")].split("/")
        return parts[:-1] if parts[-1] == "__init__" else parts

    def module(self, name):
        if name not in self.parsed:
            text = self.package.text(name)
            try:
                tree = ast.parse(text)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                raise Refused(f"{name} is not Python that can be read: {type(error).__name__}: {error}") from None
            module = Module(name, tree)
            self.bind(module, tree.body)
            self.parsed[name] = module
        return self.parsed[name]

    def bind(self, module, statements):
        for at, statement in enumerate(statements):
            after = statements[at + 1] if at + 1 < len(statements) else None
            if isinstance(statement, ast.ImportFrom):
                base = self.base(module, statement)
                for alias in statement.names:
                    module.imported.setdefault(alias.asname or alias.name, (base, alias.name))
            elif isinstance(statement, ast.Import):
                for alias in statement.names:
                    first = alias.name.split(".")[0]
                    module.imported.setdefault(alias.asname or first, (None, alias.name if alias.asname else first))
            elif isinstance(statement, ast.ClassDef):
                self.define(module, statement.name, statement)
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                if len(targets) == 1 and isinstance(targets[0], ast.Name):
                    name = targets[0].id
                    self.define(module, name, statement.value)
                    if name == "_dynamic_imports" and isinstance(statement.value, ast.Dict):
                        self.lazily(module, statement.value)
                    if is_text(after):
                        module.texts[name] = after.value.value
            elif isinstance(statement, ast.If):
                self.bind(module, statement.body)

    def define(self, module, name, node):
        if name in module.defined:
            module.twice.add(name)
        module.defined[name] = node

    def lazily(self, module, table):
        for key, value in zip(table.keys, table.values):
            if isinstance(key, ast.Constant) and isinstance(value, ast.Constant) and isinstance(value.value, str):
                inner = value.value.lstrip(".").split(".")
                module.dynamic[key.value] = ("own", (*self.dotted(module.name), *inner))

    def base(self, module, statement):
        """What `from … import` names: ("own", parts) within the package, ("other", name) elsewhere."""
        parts = tuple((statement.module or "").split(".")) if statement.module else ()
        if statement.level:
            here = self.dotted(module.name)
            if not module.name.endswith("__init__.py"):
                here = here[:-1]
            kept = here[: len(here) - (statement.level - 1)]
            return ("own", (*kept, *parts))
        if parts[0] in self.names:
            return ("own", parts[1:])
        return ("other", ".".join(parts))

    def resolve(self, module, node):
        """What a name or a dotted name stands for: ("other", "typing.Optional"), ("runtime", "types.Nullable"),
        ("module", module) or ("def", module, name)."""
        if isinstance(node, ast.Name):
            return self.named(module, node.id, node, 0)
        if isinstance(node, ast.Attribute):
            kind, *rest = self.resolve(module, node.value)
            if kind in ("other", "runtime"):
                return (kind, f"{rest[0]}.{node.attr}")
            if kind == "module":
                return self.named(rest[0], node.attr, node, 0)
        raise Unknown(module, node, "a name that leads nowhere known")

    def named(self, module, name, node, depth):
        if depth > 20:
            raise Unknown(module, node, "imports that lead to each other")
        if name in module.defined:
            if name in module.twice:
                raise Unknown(module, node, "a name that is defined twice")
            return ("def", module, name)
        if name in module.imported:
            base, original = module.imported[name]
            if base is None:
                parts = original.split(".")
                return (
                    self.inside(module, parts[1:], None, node, depth) if parts[0] in self.names else ("other", original)
                )
            kind, where = base
            if kind == "other":
                return ("other", f"{where}.{original}")
            return self.inside(module, where, original, node, depth)
        if name in module.dynamic:
            return self.inside(module, module.dynamic[name][1], name, node, depth)
        if hasattr(builtins, name):
            return ("other", f"builtins.{name}")
        raise Unknown(module, node, "a name that is not defined")

    def inside(self, module, parts, name, node, depth):
        """A name of another module of the package, or that module."""
        whole = ".".join([*parts, *([name] if name else [])])
        if any(whole == one or whole.startswith(f"{one}.") for one in self.runtime):
            return ("runtime", whole)
        if name is not None:
            path = self.path(parts)
            if path is not None and path != module.name:
                other = self.module(path)
                if name in other.defined or name in other.imported or name in other.dynamic:
                    return self.named(other, name, node, depth + 1)
            parts = (*parts, name)
        path = self.path(parts)
        if path is None:
            raise Unknown(module, node, f"an import of {whole}, which is not in the package")
        return ("module", self.module(path))


def is_text(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def with_texts(body):
    """The statements of a class, each with the text that stands after it."""
    for at, statement in enumerate(body):
        after = body[at + 1] if at + 1 < len(body) else None
        yield statement, after.value.value if isinstance(statement, ast.AnnAssign) and is_text(after) else None


def text_of(node):
    """The text of a class or a method, without the indentation of its lines; nothing when there is none."""
    if not node.body or not is_text(node.body[0]):
        return ""
    first, _, rest = node.body[0].value.value.expandtabs().partition("\n")
    return f"{first.strip()}\n{textwrap.dedent(rest)}".strip()


def constant(node):
    """The value of a constant, negative numbers among them; raises KeyError for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return -value
    if isinstance(node, ast.Constant):
        return node.value
    raise KeyError


def keywords(module, call, known):
    """The keyword arguments of a call by name, all of them known."""
    if call.args or any(one.arg is None or one.arg not in known for one in call.keywords):
        raise Unknown(module, call, "a call with other arguments than are known")
    return {one.arg: one.value for one in call.keywords}
