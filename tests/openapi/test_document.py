"""``GET /openapi.json`` is valid, and tells of all routes, what they take and what they answer."""

import json
import re
from pathlib import Path

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from claude_mailbox import __version__
from docs.product import route_tables, source
from openapi.fuzz import run
from support.daemon import DaemonProcess

METHODS = {"get", "post", "delete"}


def fetch(daemon: DaemonProcess) -> dict:
    """Return the document."""
    response = httpx.get(f"{daemon.url}/openapi.json")
    assert response.headers["content-type"] == "application/json"
    return response.json()


def test_document_is_valid(daemon: DaemonProcess) -> None:
    """By the validator of the OpenAPI initiative's own schemas."""
    document = fetch(daemon)

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == __version__


def test_every_route_but_those_of_mcp_is_described() -> None:
    """A route that is added without a description fails here."""
    routes = [route for table in route_tables() for route in table.routes()]

    undescribed = {route.path for route in routes if route.about is None}
    assert undescribed == {"/mcp", "/mcp/"}


def test_operation_ids_are_unique(daemon: DaemonProcess) -> None:
    """Generators of clients name functions by them."""
    ids = [
        operation["operationId"]
        for path in fetch(daemon)["paths"].values()
        for operation in path.values()
    ]

    assert len(ids) == len(set(ids)) > 20


def test_parameters_are_those_that_the_code_reads(daemon: DaemonProcess) -> None:
    """None is missing, and none is invented."""
    told = {
        parameter["name"]
        for path in fetch(daemon)["paths"].values()
        for operation in path.values()
        for parameter in operation["parameters"]
        if parameter["in"] == "query"
    }
    read = {
        name
        for module in source("daemon/web")
        for name in re.findall(r"request\.(?:number|parameter|flag|has)\(\s*\"(\w+)\"", module)
    }

    assert told == read


def test_fields_of_requests_are_those_that_the_code_reads(daemon: DaemonProcess) -> None:
    """None is missing, and none is invented."""
    document = fetch(daemon)
    told = set()
    for path in document["paths"].values():
        for operation in path.values():
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                name = schema["$ref"].rpartition("/")[2]
                told |= set(document["components"]["schemas"][name]["properties"])
    read = {
        name
        for module in source("daemon/web")
        for name in re.findall(r"(?:content|json\(\))(?:\.get\(|, )\"(\w+)\"", module)
    }

    assert told == read


def test_schemathesis_finds_no_deviation(daemon: DaemonProcess, tmp_path: Path) -> None:
    """Requests at the borders of what the document allows; ``make soak`` makes 10,000 calls."""
    calls, report = run(daemon, tmp_path, ["--phases", "coverage"])

    assert not report, report
    assert calls > 500


def test_schemathesis_finds_an_answer_that_the_document_does_not_tell(
    daemon: DaemonProcess, tmp_path: Path
) -> None:
    """So the test above can fail: here the document says that ``pending`` is a text."""
    document = fetch(daemon)
    document["components"]["schemas"]["Backlog"]["properties"]["pending"] = {"type": "string"}
    wrong = tmp_path / "openapi.json"
    wrong.write_text(json.dumps(document))

    arguments = ["--phases", "coverage", "--include-path", "/v1/peek"]
    _, report = run(daemon, tmp_path, arguments, document=str(wrong))

    assert "is not of type" in report
