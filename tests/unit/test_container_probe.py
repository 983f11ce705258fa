"""The image's health check: healthy on 200 alone, and it says what the service said."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from deploy.docker import probe
from deploy.embedded.ports import free_port


class Answers(BaseHTTPRequestHandler):
    """Ready on one path, not on the other."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()
        self.wfile.write(b"Kafka doesn't answer")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        monkeypatch.setenv("OFFERS_HTTP_PORT", str(server.server_port))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("service")
def test_only_200_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main("/healthz") == 0
    assert probe.main("/readyz") == 1
    assert capsys.readouterr().out.endswith("Kafka doesn't answer")


def test_nobody_there_is_unhealthy(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OFFERS_HTTP_PORT", str(free_port()))
    assert probe.main("/healthz") == 1
    assert "ConnectionRefusedError" in capsys.readouterr().out
