"""``GET /openapi.json``: the REST interface in OpenAPI 3.1, made from the routes' descriptions."""

import types
from collections.abc import Iterable, Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from claude_mailbox import __version__
from claude_mailbox.daemon.edge.description import Description
from claude_mailbox.daemon.edge.input.request import Request
from claude_mailbox.daemon.edge.output.response import Response
from claude_mailbox.daemon.edge.output.shapes import Error, GivenName, NewName
from claude_mailbox.daemon.edge.routing import MailRoute, Route
from claude_mailbox.errors import BadRequest, MailboxError, QuotaFull, Unavailable
from claude_mailbox.refusals import Forbidden, NotFound, RequestTimeout, TooLarge, WrongContentType

PATH = "/openapi.json"
_ABOUT = (
    "Mail between coding-agent sessions. The header X-Mailbox says whose mailbox the caller has;"
    " sessions that hooks have announced are known by X-Mailbox-Session or X-Mailbox-Client"
    " instead. Every error has a sentence that says what to do, and a stable reason."
)
_PLAIN: Mapping[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
# Errors of the guard, the parser and the store, which any request may get.
_ALWAYS: tuple[type[MailboxError], ...] = (BadRequest, Forbidden, Unavailable)
_WITH_BODY: tuple[type[MailboxError], ...] = (RequestTimeout, TooLarge, WrongContentType)
# For an unknown session, and one mailbox too many.
_WITH_IDENTITY: tuple[type[MailboxError], ...] = (NotFound, QuotaFull)
# The parser's answer, before there is a route.
_HEAD_TOO_LARGE = 431

Schema = dict[str, Any]


class OpenApiRoutes:
    """The route of the document.

    Args:
        routes: what the document describes.
    """

    def __init__(self, routes: Iterable[Route | MailRoute]) -> None:
        self._described = list(routes)
        self._answer: Response | None = None

    def routes(self) -> Iterable[Route]:
        """Return the route."""
        about = Description("This document", dict[str, object])
        return (Route("GET", PATH, self._tell, about),)

    async def _tell(self, request: Request) -> Response:
        if self._answer is None:
            self._answer = Response(document([*self._described, *self.routes()]))
        return self._answer


def document(routes: Iterable[Route | MailRoute]) -> Schema:
    """Return the document. Routes without a description are not REST, and left out."""
    components: dict[str, Schema] = {}
    paths: dict[str, Schema] = {}
    for route in routes:
        if route.about is not None:
            operation = _operation(route.method, route.path, route.about, components)
            paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "claude-mailbox", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _operation(method: str, path: str, about: Description, components: dict[str, Schema]) -> Schema:
    words = path.removeprefix("/v1").replace("-", "/").strip("/").split("/")
    operation: Schema = {
        "operationId": method.lower() + "".join(word.title() for word in words),
        "summary": about.summary,
        "parameters": [*_identity(about), *_parameters(about.query, components)],
    }
    if about.body is not None:
        content = {"application/json": {"schema": schema_of(about.body, components)}}
        operation["requestBody"] = {"required": True, "content": content}
    operation["responses"] = _responses(about, components)
    return operation


def _identity(about: Description) -> list[Schema]:
    if about.identity == "none":
        return []
    return [
        {
            "name": "X-Mailbox",
            "in": "header",
            "required": about.identity == "required",
            "description": "The caller's own mailbox; beyond ASCII, percent-encoded UTF-8",
            "schema": schema_of(GivenName if about.is_existing else NewName, {}),
        }
    ]


def _parameters(query: type | None, components: dict[str, Schema]) -> list[Schema]:
    if query is None:
        return []
    parameters = []
    for name, kind in get_type_hints(query, include_extras=True).items():
        is_required = name in query.__required_keys__  # type: ignore[attr-defined]
        schema = schema_of(kind, components)
        parameters.append(
            {
                "name": name,
                "in": "query",
                "required": is_required,
                # An empty text is like no parameter; a number cannot be empty.
                "allowEmptyValue": not is_required and schema.get("type") == "string",
                "schema": schema,
            }
        )
    return parameters


def _responses(about: Description, components: dict[str, Schema]) -> Schema:
    content = {about.media_type: {"schema": schema_of(about.answer, components)}}
    answer: Schema = {"description": about.summary, "content": content}
    if about.headers:
        answer["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in about.headers.items()
        }
    responses: Schema = {"200": answer}
    if about.may_be_empty:
        responses["204"] = {"description": "None came in time"}
    statuses = {error.status for error in (*_ALWAYS, *about.errors)} | {_HEAD_TOO_LARGE}
    if about.body is not None:
        statuses |= {error.status for error in _WITH_BODY}
    if about.identity != "none":
        statuses |= {error.status for error in _WITH_IDENTITY}
    error_content = {"application/json": {"schema": schema_of(Error, components)}}
    for status in sorted(statuses):
        responses[str(status)] = {"description": "An error", "content": error_content}
    return responses


def schema_of(kind: Any, components: dict[str, Schema]) -> Schema:
    """Return the JSON Schema of a type, and add those of its `TypedDict` classes to *components*.

    Raises:
        TypeError: if the type has no JSON Schema.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if is_typeddict(kind):
        return _component(kind, components)
    if origin is Annotated:
        schema = schema_of(arguments[0], components)
        for keywords in arguments[1:]:
            schema = {**schema, **keywords.schema}
        return schema
    if origin is NotRequired:
        return schema_of(arguments[0], components)
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return _union([schema_of(each, components) for each in arguments])
    if origin is list:
        return {"type": "array", "items": schema_of(arguments[0], components)}
    if origin is dict:
        return {"type": "object"}
    if kind is type(None):
        return {"type": "null"}
    if kind in _PLAIN:
        return {"type": _PLAIN[kind]}
    raise TypeError(f"{kind} has no JSON Schema here")


def _union(schemas: list[Schema]) -> Schema:
    """Return the schema of a union, such as a type that may be null."""
    if len(schemas) == 2 and schemas[1] == {"type": "null"} and "type" in schemas[0]:
        nullable = {**schemas[0], "type": [schemas[0]["type"], "null"]}
        if "enum" in nullable:
            nullable["enum"] = [*nullable["enum"], None]
        return nullable
    return {"anyOf": schemas}


def _component(kind: Any, components: dict[str, Schema]) -> Schema:
    name = kind.__name__
    if name not in components:
        schema: Schema = {"type": "object", "properties": {}}
        components[name] = schema
        description = (kind.__doc__ or "").strip()
        if description and not description.startswith("dict("):
            schema["description"] = description.partition("\n")[0]
        for key, each in get_type_hints(kind, include_extras=True).items():
            schema["properties"][key] = schema_of(each, components)
        required = [key for key in schema["properties"] if key in kind.__required_keys__]
        if required:
            schema["required"] = required
    return {"$ref": f"#/components/schemas/{name}"}
