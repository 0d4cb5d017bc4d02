"""Tells how a handler is called: handle(event, context), an application called app, or
handle(req), which is OpenFaaS's classic python3.

As a program it looks at the source of a handler without running it, when the
image is built, and refuses what cannot be called. The source says nothing of a
handle that comes from elsewhere; index.py asks again when it has loaded it."""

import ast
import inspect
import sys
from pathlib import Path

ACCEPTED = """the template python3 takes one of
    def handle(event, context)    as OpenFaaS's python3-http, async or not
    app = ...                     an ASGI or a WSGI application, such as FastAPI's or Flask's
    def handle(req)               as OpenFaaS's classic python3
For anything else, name OpenFaaS's template in the stack file, such as lang: python3-http"""

# Second parameters that are no context.
OTHER = ("res", "resp", "response", "start_response", "callback", "cb", "next")


class Refused(Exception):
    pass


def of_signature(signature):
    """Return "event" for handle(event, context) and "req" for handle(req)."""
    positional = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    kinds = [p.kind for p in signature.parameters.values()]
    named = [p for p in signature.parameters.values() if p.kind == p.KEYWORD_ONLY and p.default is p.empty]
    if named or len(required) > 2 or not (positional or inspect.Parameter.VAR_POSITIONAL in kinds):
        raise Refused(f"handle{signature} cannot be called with an event and a context, nor with a body")
    if inspect.Parameter.VAR_POSITIONAL in kinds and len(positional) < 2 and (not positional or positional[0].name == "event"):
        return "event"
    if len(positional) == 1:
        return "req"
    if positional[1].name in OTHER:
        raise Refused(f"handle{signature} has a second parameter that is no context")
    context = positional[1].name.strip("_") in ("context", "ctx", "c", "")
    if len(required) == 2 or context:
        return "event"
    raise Refused(f"handle{signature} can be called with one argument and with two, so that it cannot be told which is meant")


def of_function(function):
    """Return the shape of the handle that a module has, which may be anything
    that can be called."""
    if not callable(function):
        raise Refused("handle is no function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return "event"
    shape = of_signature(signature)
    if shape == "req" and inspect.isasyncgenfunction(function):
        raise Refused("handle(req) is an async generator")
    return shape


def of_app(app):
    """Return "asgi" or "wsgi" for an application."""
    if is_async(app):
        return "asgi"
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        parameters = []
    needed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty]
    if len(needed) in (2, 3):
        return "asgi" if len(needed) == 3 else "wsgi"
    raise Refused("app is neither an ASGI nor a WSGI application")


def of_module(module):
    """Return the shape of what a module answers with, or end the process with what is accepted."""
    handle, app = getattr(module, "handle", None), getattr(module, "app", None)
    try:
        if handle is None and app is None:
            raise Refused("there is no handle and no app")
        if not callable(app):
            return of_function(handle)
        try:
            shape = None if handle is None else of_function(handle)
        except Refused:
            shape = None
        return shape if shape == "event" else of_app(app)
    except Refused as err:
        sys.exit(f"function/handler.py: {err}\n{ACCEPTED}")


def is_async(function):
    call = getattr(type(function), "__call__", None)
    return any(inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (function, call))


def runs_in_loop(handle):
    """Return whether what handle returns is async."""
    while hasattr(handle, "func") and hasattr(handle, "keywords"):  # a functools.partial
        handle = handle.func
    return is_async(handle)


def of_source(source, name):
    """Return the shape of the handle in a module's source, or None where the
    source does not say."""
    tree = ast.parse(source, name)
    if any(binds(node, "app") for node in own(tree, "app")):
        return None
    found = [node for node in own(tree) if binds(node)]
    if not found and not any(isinstance(node, ast.Global) and {"handle", "app"} & set(node.names) for node in ast.walk(tree)):
        raise Refused("there is no handle and no app")
    if len(found) != 1 or found[0] not in tree.body:
        return None
    node = found[0].value if isinstance(found[0], ast.Assign) else found[0]
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or getattr(node, "decorator_list", None):
        return None
    try:
        shape = of_signature(written(node.args))
        if shape == "req" and isinstance(node, ast.AsyncFunctionDef) and any(isinstance(n, ast.Yield) for n in own(node)):
            raise Refused("handle(req) is an async generator")
        return shape
    except Refused as err:
        raise Refused(f"line {node.lineno}: {err}") from None


def binds(node, name="handle"):
    """Return whether a statement may give its module a handle, or something else that name is."""
    anything = name == "handle"
    if isinstance(node, ast.Assign):
        return any(isinstance(target, ast.Name) and target.id == name for target in node.targets)
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return node.name == name or anything and node.name == "__getattr__"
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any((alias.asname or alias.name) == name or anything and alias.name == "*" for alias in node.names)
    if isinstance(node, ast.Name):  # in a tuple, a with, a for, or what is executed
        executes = anything and node.id in ("globals", "setattr", "exec", "vars")
        return executes or node.id == name and isinstance(node.ctx, ast.Store)
    return False


def own(outer, name="handle"):
    """Walk what is in a module or a function, without the insides of what it
    defines, and without the names that an assignment to them has counted."""
    waiting = list(outer.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.Assign) and binds(node, name):
            waiting.append(node.value)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting.extend(ast.iter_child_nodes(node))


def written(args):
    """Return the signature that parameters in a source have."""
    kinds, out = inspect.Parameter, []
    only = getattr(args, "posonlyargs", [])  # since Python 3.8
    for i, arg in enumerate(only + args.args):
        default = None if i >= len(only + args.args) - len(args.defaults) else kinds.empty
        out.append(kinds(arg.arg, kinds.POSITIONAL_ONLY if i < len(only) else kinds.POSITIONAL_OR_KEYWORD, default=default))
    if args.vararg:
        out.append(kinds(args.vararg.arg, kinds.VAR_POSITIONAL))
    for arg, default in zip(args.kwonlyargs, args.kw_defaults):
        out.append(kinds(arg.arg, kinds.KEYWORD_ONLY, default=kinds.empty if default is None else None))
    if args.kwarg:
        out.append(kinds(args.kwarg.arg, kinds.VAR_KEYWORD))
    return inspect.Signature(out)


def check(folder):
    for name in ("handler.py", "handler/__init__.py"):
        file = folder / name
        if file.is_file():
            break
    else:
        if any(folder.glob("handler.*")):
            return  # a module of another kind, such as a compiled one
        sys.exit(f"there is no handler.py\n{ACCEPTED}")
    try:
        of_source(file.read_bytes(), name)
    except SyntaxError as err:
        sys.exit(f"{name}:{err.lineno}: {err.msg}: {(err.text or '').strip()}")
    except ValueError as err:
        sys.exit(f"{name}: {err}")
    except Refused as err:
        sys.exit(f"{name}: {err}\n{ACCEPTED}")


if __name__ == "__main__":
    check(Path(sys.argv[1]))
