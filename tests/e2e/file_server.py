"""An HTTP server of files for the tests, with ranges and with faults on demand."""

import http.server
import re
import socket
import threading
import time


class Fault:
    """What goes wrong with one reply: a status instead of the content, a connection cut after some
    bytes, wrong bytes, a server without ranges, or bytes that come slowly."""

    def __init__(self, status=None, headers=None, cut=None, corrupt=False, no_ranges=False, slow=0.0,
                 body=b""):
        self.status, self.headers, self.body = status, headers or {}, body
        self.cut, self.corrupt, self.no_ranges, self.slow = cut, corrupt, no_ranges, slow


class FileServer:
    """Runs `handle(handler)` for each request on a port of its own, and keeps what was asked."""

    def __init__(self, tls=None):
        """tls: an ssl.SSLContext of a server, whose certificate is of localhost."""
        self.tls = tls
        self.requests = []  # (method, path with query, headers)
        self.faults = {}  # path -> [Fault], each for one request
        self.lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *unused):
                pass

            def answer(self):
                length = int(self.headers.get("content-length") or 0)
                self.body = self.rfile.read(length)
                with server.lock:
                    server.requests.append((self.command, self.path, dict(self.headers.items())))
                    faults = server.faults.get(self.path.split("?")[0])
                    fault = faults.pop(0) if faults else None
                if fault and fault.status:
                    return self.reply(fault.status, fault.headers, fault.body)
                self.fault = fault
                server.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = answer

            def reply(self, status, headers=None, body=b""):
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def reply_file(self, content, headers):
                """The content or the range of it that was asked for, with the fault's doing."""
                fault, begin, status = self.fault, 0, 200
                asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
                headers = dict(headers)
                if asked and not (fault and fault.no_ranges):
                    begin, end = int(asked[1]), int(asked[2] or len(content) - 1) + 1
                    if begin >= len(content):
                        return self.reply(416, {"content-range": f"bytes */{len(content)}"})
                    end, status = min(end, len(content)), 206
                    headers["content-range"] = f"bytes {begin}-{end - 1}/{len(content)}"
                    content = content[begin:end]
                if fault and fault.corrupt:
                    content = bytes([content[0] ^ 1]) + content[1:]
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                if self.command == "HEAD":
                    return
                if fault and fault.cut is not None:
                    self.wfile.write(content[:fault.cut])
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                step = 65536 if fault and fault.slow else len(content) or 1
                for at in range(0, len(content), step):
                    self.wfile.write(content[at:at + step])
                    if fault and fault.slow:
                        time.sleep(fault.slow)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *unused):
                pass  # clients that leave are part of the tests

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"https://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"

    def fail(self, path, *faults):
        with self.lock:
            self.faults[path] = list(faults)

    def forget(self):
        with self.lock:
            self.requests.clear()
            self.faults.clear()

    def asked(self, pattern, method=None):
        """The requests whose method and path match."""
        with self.lock:
            return [request for request in self.requests
                    if re.search(pattern, request[1]) and method in (None, request[0])]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
