"""A server that speaks the chat completions and responses protocols, for the real OpenAI client."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

USAGE = {"prompt_tokens": 11, "completion_tokens": 2, "total_tokens": 13}
PIECES = ["Press ", "Export", "."]


class ModelStub:
    """Answers "Press Export." in every way the protocol knows."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        #: Refuses `stream_options`, as some compatible servers do.
        self.knows_usage = True
        #: Answers with a tool call instead of words.
        self.calls_tool = False
        #: Cuts the stream after its first piece.
        self.dies = False
        self.status = 200
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The base URL for the client."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def completion(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": "".join(PIECES)}
        if self.calls_tool:
            call = {"name": "search", "arguments": '{"q":"export"}'}
            calls = [{"id": "c-1", "type": "function", "function": call}]
            message = {"role": "assistant", "content": None, "tool_calls": calls}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        return _completion("chat.completion") | {"choices": [choice], "usage": USAGE}

    def chunks(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in PIECES]
        if self.calls_tool:
            first = {"name": "search", "arguments": ""}
            more = [{"arguments": part} for part in ('{"q":', '"export"}')]
            deltas = [{"tool_calls": [{"index": 0, "function": f}]} for f in (first, *more)]
        made: list[dict[str, Any]] = []
        made += [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
        made.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (request.get("stream_options") or {}).get("include_usage"):
            made.append({"choices": [], "usage": USAGE})
        return [_completion("chat.completion.chunk") | chunk for chunk in made]

    def response(self) -> dict[str, Any]:
        text = {"type": "output_text", "text": "".join(PIECES), "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed"}
        usage = {"input_tokens": 11, "output_tokens": 2, "total_tokens": 13}
        return {
            "id": "resp-1", "object": "response", "created_at": 1, "model": "model-2", "tools": [],
            "output": [message | {"content": [text]}], "usage": usage, "status": "completed",
            "parallel_tool_calls": False, "tool_choice": "auto",
        }  # fmt: skip

    def events(self) -> list[dict[str, Any]]:
        place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
        kind = "response.output_text.delta"
        made: list[dict[str, Any]] = [
            {"type": kind, "delta": piece, "sequence_number": number} | place
            for number, piece in enumerate(PIECES)
        ]
        return [
            *made,
            {"type": "response.completed", "sequence_number": 9, "response": self.response()},
        ]


def _completion(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": "model-2"}


def _handler(stub: ModelStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            stub.requests.append(request)
            if stub.status != 200:
                self._json(stub.status, {"error": {"message": "no"}})
            elif "stream_options" in request and not stub.knows_usage:
                self._json(400, {"error": {"message": "Unknown parameter: stream_options"}})
            elif request.get("stream"):
                events = self.path.endswith("/responses")
                self._stream(stub.events() if events else stub.chunks(request))
            else:
                whole = self.path.endswith("/responses")
                self._json(200, stub.response() if whole else stub.completion())

        def _json(self, status: int, body: object) -> None:
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _stream(self, chunks: list[dict[str, Any]]) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for number, chunk in enumerate(chunks):
                if stub.dies and number == 2:
                    self.close_connection = True
                    self.connection.close()
                    return
                self._event(json.dumps(chunk))
            self._event("[DONE]")
            self.wfile.write(b"0\r\n\r\n")

        def _event(self, data: str) -> None:
            raw = f"data: {data}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))

    return Handler
