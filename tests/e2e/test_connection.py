"""The wire: framing, keep-alive, limits, and clients that leave."""

import json
import os
import socket
import time

from harness import JSON, ROLLING, DYNAMIC, Client, ServerCase, eventually

HELLO = json.dumps({"inputs": "hello", "parameters": {"max_new_tokens": 3}})


class ConnectionTest(ServerCase):
    models = {"m": ROLLING, "dyn": DYNAMIC}
    env = {**ServerCase.env, "SERVING_MAX_REQUEST_SIZE": "200000"}
    target = "/predictions/m"

    def test_keep_alive(self):
        with self.server.connect() as client:
            for _ in range(3):
                client.request("POST", self.target, HELLO, JSON)
                self.assertEqual(client.reply().header("connection"), "keep-alive")
            client.request("POST", self.target, HELLO, JSON + "connection: close\r\n")
            self.assertEqual(client.reply().header("connection"), "close")
            self.assertTrue(client.closed())

    def test_errors_close(self):
        with self.server.connect() as client:
            client.request("GET", "/foo")
            self.assertEqual(client.reply().header("connection"), "close")
            self.assertTrue(client.closed())

    def test_pipelined_requests_are_answered_in_order(self):
        with self.server.connect() as client:
            for count in (900, 1, 300, 2):
                client.request("POST", self.target, json.dumps({
                    "inputs": "a", "parameters": {"max_new_tokens": count, "details": True}}), JSON)
            client.request("GET", "/ping")
            counts = [client.reply().json["details"]["generated_tokens"] for _ in range(4)]
            self.assertEqual(counts, [900, 1, 300, 2])
            self.assertIn("m", client.reply().json)

    def test_chunked_bodies_and_expect(self):
        with self.server.connect() as client:
            client.send(f"POST {self.target} HTTP/1.1\r\nhost: t\r\n{JSON}transfer-encoding: chunked\r\n"
                        "expect: 100-continue\r\n\r\n")
            self.assertEqual(client.reply().status, 100)
            for piece in (HELLO[:7], HELLO[7:]):
                client.send(f"{len(piece):x};ext=1\r\n")
                time.sleep(0.02)
                client.send(f"{piece}\r\n")
            client.send("0\r\ntrailer: x\r\n\r\n")
            self.assertEqual(client.reply().body, self.server.post(self.target, HELLO).body)
        reply = self.server.call("POST", self.target, HELLO, JSON + "expect: tea\r\n")
        self.assertEqual((reply.status, reply.reason, reply.body), (417, "Expectation Failed", b""))

    def test_bodies_over_the_limit(self):
        with self.server.connect() as client:
            client.send(f"POST {self.target} HTTP/1.1\r\nhost: t\r\n{JSON}content-length: 200001\r\n\r\n")
            reply = client.reply()  # without a byte of the body
            self.assertEqual((reply.status, reply.reason), (413, "Request Entity Too Large"))
            self.assertEqual(reply.headers, [("content-length", "0")])
        with self.server.connect() as client:
            client.send(f"POST {self.target} HTTP/1.1\r\nhost: t\r\n{JSON}transfer-encoding: chunked\r\n\r\n"
                        "30d41\r\n" + "x" * 200001)
            reply = client.reply()
            self.assertEqual((reply.status, reply.header("connection")), (413, "close"))
        self.assertNotEqual(self.server.post(self.target, "x" * 200000).status, 413)

    def test_what_is_no_http(self):
        for message in ("garbage\r\n\r\n", "GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
                        "GET /" + "x" * 5000 + " HTTP/1.1\r\n\r\n",
                        "GET / HTTP/1.1\r\n" + "a: " + "x" * 20000 + "\r\n\r\n"):
            with self.server.connect() as client:
                client.send(message)
                self.assert_error(client.reply(), 400, "BadRequestException", "Invalid HTTP message.",
                                  "Invalid HTTP message.")
                self.assertTrue(client.closed())

    def test_http_10_and_absolute_targets(self):
        with self.server.connect() as client:
            client.send("GET http://test/ping?x=1 HTTP/1.0\r\n\r\n")
            reply = client.reply()
            self.assertEqual((reply.status, reply.header("connection")), (200, "close"))
            self.assertTrue(client.closed())

    def assert_cancelled_by(self, leave, target):
        model = target.split("/")[-1]
        client = self.server.connect()
        client.request("POST", target, json.dumps(
            {"inputs": "a", "parameters": self.LONG}), JSON)
        eventually(lambda: self.running(model) == 1, "a running request")
        began = time.monotonic()
        leave(client)
        eventually(lambda: self.running(model) == 0, "an idle engine")
        self.assertLess(time.monotonic() - began, 1.5)

    def running(self, model):
        page = self.server.get("/server/metrics?name[]=EngineRunning").text
        return float(page.split(f'EngineRunning{{Model="{model}",}} ')[1].split()[0])

    def cancelled(self, model):
        page = self.server.get("/server/metrics?name[]=EngineCancelled").text
        return float(page.split(f'EngineCancelled_total{{Model="{model}",}} ')[1].split()[0])

    def test_a_client_that_leaves_cancels(self):
        before = self.cancelled("m")
        self.assert_cancelled_by(Client.close, "/predictions/m")
        self.assertEqual(self.cancelled("m"), before + 1)
        # One that waits for a whole reply leaves no trace until it is sent something.
        before = self.cancelled("dyn")
        self.assert_cancelled_by(Client.close, "/predictions/dyn")
        self.assertEqual(self.cancelled("dyn"), before + 1)

    def test_a_reset_cancels(self):
        def reset(client):
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        self.assert_cancelled_by(reset, "/predictions/dyn")

    def test_a_half_closed_client_gets_its_replies(self):
        for target in ("/predictions/m", "/predictions/dyn"):
            for count in (3, 15000):  # at once, and after the server asked whether it is still there
                with self.server.connect() as client:
                    body = json.dumps({"inputs": "a", "parameters": {"max_new_tokens": count}})
                    client.request("POST", target, body, JSON)
                    client.request("GET", "/ping")
                    client.socket.shutdown(socket.SHUT_WR)
                    reply = client.reply()
                    while reply.status == 100:
                        reply = client.reply()
                    self.assertEqual(reply.status, 200)
                    self.assertTrue(reply.complete)
                    ping = client.reply()
                    self.assertEqual((ping.status, list(ping.json)), (200, ["dyn", "m"]))
                    self.assertTrue(client.closed())

    def test_headers_of_clients_are_not_echoed(self):
        reply = self.server.get("/ping", "x-request-id: mine\r\n")
        self.assertNotEqual(reply.header("x-request-id"), "mine")


class UnixSocketTest(ServerCase):
    any_port = False

    @classmethod
    def setUpClass(cls):
        # Paths of sockets must be short, whatever the temporary folder is.
        cls.path = f"/tmp/tm_e2e_{os.getpid()}.sock"
        cls.env = {"SERVING_INFERENCE_ADDRESS": f"unix:{cls.path}",
                   "SERVING_MANAGEMENT_ADDRESS": f"unix:{cls.path}", "SERVING_PROMETHEUS": "true"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        assert not os.path.exists(cls.path)

    def test_everything_works_over_it(self):
        self.assertEqual(self.server.port, self.path)
        self.assertEqual(self.server.post("/invocations", HELLO).status, 200)
        client = self.begin_long()
        client.close()
        self.wait_idle()
        with self.server.connect() as half:
            half.request("POST", "/invocations", HELLO, JSON)
            half.socket.shutdown(socket.SHUT_WR)
            self.assertTrue(half.reply().complete)
