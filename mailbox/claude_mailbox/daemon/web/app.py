"""REST on Quart: the routes, and an answer for whatever goes wrong on the way to them."""

from collections.abc import Awaitable, Callable
from typing import cast

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from claude_mailbox.daemon.http.asgi import Scope
from claude_mailbox.daemon.web.mail import Answer, Call, Verb, Verbs, surprise
from claude_mailbox.errors import BadRequest, MailboxError, MethodNotAllowed, NotFound


def create_app(verbs: Verbs) -> QuartTrio:
    """Build the REST application from the verbs' routes."""
    app = QuartTrio("claude_mailbox")
    # The guard has bounded the body before we see it, and bounds the time that it may take.
    app.config["MAX_CONTENT_LENGTH"] = None
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    # One spelling a route: what stands around us (see main.py) goes by the exact path.
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False

    for (method, path), verb in verbs.routes.items():
        app.add_url_rule(path, f"{method} {path}", _view(verb), methods=[method])

    @app.errorhandler(MailboxError)
    async def on_mailbox_error(error: MailboxError) -> Response:
        return _response(Answer.of_error(error))

    @app.errorhandler(HTTPException)
    async def on_http_error(error: HTTPException) -> Response:
        if error.code == NotFound.status:
            sentence = f"There is no {request.path}: see the README for the routes."
            return _response(Answer.of_error(NotFound(sentence)))
        if error.code == MethodNotAllowed.status:
            methods = set(getattr(error, "valid_methods", None) or ()) - {"HEAD"}
            allowed = ", ".join(sorted(methods))
            sentence = f"{request.method} is not for {request.path}: use {allowed}."
            return _response(Answer.of_error(MethodNotAllowed(sentence, allowed)))
        sentence = f"The request is malformed: {error.description}"
        return _response(Answer.of_error(BadRequest(sentence)))

    @app.errorhandler(Exception)
    async def on_surprise(error: Exception) -> Response:
        return _response(surprise(error, request.method, request.path))

    return app


def _view(verb: Verb) -> Callable[[], Awaitable[Response]]:
    async def view() -> Response:
        body = cast("bytes", await request.get_data(as_text=False))
        return _response(await verb(Call(cast("Scope", request.scope), body)))

    return view


def _response(answer: Answer) -> Response:
    # Bytes, not None: Quart would look for an asyncio loop to send an empty iterator.
    response = Response(answer.body, status=answer.status)
    del response.headers["Content-Type"]
    for key, value in answer.headers:
        response.headers[key.decode()] = value.decode()
    return response
