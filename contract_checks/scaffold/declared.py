"""What a repository declares already: read from its text, never run."""

import ast
from pathlib import Path
from typing import NamedTuple


class Declared(NamedTuple):
    """Where an entity is declared."""

    module: str
    variable: str


def declared_entities(repository: Path) -> dict[str, Declared]:
    """Every entity that a module of `feature_repo/` assigns to a name, by the entity's name.

    A module that is no Python declares nothing: `feast apply` will say what is wrong with it.
    """
    found = {}
    for path in sorted((repository / "feature_repo").rglob("*.py")):
        module = ".".join(path.relative_to(repository).with_suffix("").parts)
        try:
            statements = ast.parse(path.read_bytes()).body
        except (SyntaxError, ValueError):
            continue
        for variable, name in filter(None, map(_entity, statements)):
            found[name] = Declared(module.removesuffix(".__init__"), variable)
    return found


def _entity(statement: ast.stmt) -> tuple[str, str] | None:
    """The variable and the name of `variable = Entity(name="name", ...)`."""
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=variable)],
            value=ast.Call(func=ast.Name(id="Entity") | ast.Attribute(attr="Entity")) as call,
        ):
            for keyword in call.keywords:
                match keyword:
                    case ast.keyword(arg="name", value=ast.Constant(value=str(name))):
                        return variable, name
    return None
