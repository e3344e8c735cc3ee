"""Health, management and metrics."""

import os

from harness import DYNAMIC, JSON, ROLLING, ServerCase, eventually, write_model

HELLO = {"inputs": "hello", "parameters": {"max_new_tokens": 3}}


class ManagementTest(ServerCase):
    models = {"a": ROLLING, "b": DYNAMIC}

    def status_text(self, reply, status=200):
        self.assertEqual(reply.status, status, reply.text)
        self.assertEqual(list(reply.json), ["status"])
        return reply.json["status"]

    def register(self, name, **fields):
        reply = self.server.post("/models", {"model_name": name, "url": "a", **fields})
        if reply.status < 300:
            self.addCleanup(self.server.call, "DELETE", f"/models/{name}")
        return reply

    def test_ping(self):
        for method in ("GET", "POST"):
            reply = self.server.call(method, "/ping", "" if method == "POST" else None)
            self.assertEqual((reply.status, reply.header("content-type")), (200, "application/json"))
            self.assertEqual(reply.text, '{\n  "a": {\n    "status": "Healthy"\n  },\n'
                                         '  "b": {\n    "status": "Healthy"\n  }\n}\n')
            self.assert_usual_headers(reply)
        head = self.server.call("HEAD", "/ping")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.header("content-length"), reply.header("content-length"))
        for path in ("/v2/health/live", "/v2/health/ready"):
            health = self.server.get(path)
            self.assertEqual((health.status, health.body), (200, b""))

    def test_list(self):
        first = self.server.get("/models?limit=1")
        self.assertEqual(list(first.json), ["nextPageToken", "models"])
        self.assertEqual(first.json["nextPageToken"], "1")
        row = first.json["models"][0]
        self.assertEqual(list(row), ["modelName", "modelUrl", "status"])
        self.assertEqual((row["modelName"], row["status"]), ("a", "READY"))
        self.assertTrue(row["modelUrl"].startswith("file:") and row["modelUrl"].endswith("/a"), row)
        second = self.server.get("/models?limit=1&next_page_token=1").json
        self.assertEqual((list(second), second["models"][0]["modelName"]), (["models"], "b"))
        self.assertEqual(len(self.server.get("/models?limit=-3").json["models"]), 2)
        self.assert_error(self.server.get("/models?limit=x"), 500, "NumberFormatException",
                          'For input string: "x"')
        for target in ("/workflows", "/workflows?url=x"):
            self.assertEqual(self.server.call("POST", target).status, 400)
        self.assertEqual(self.server.get("/").status, 404)
        self.assertEqual(self.server.get("/workflows").json,
                         {"workflows": [{"workflowName": "a"}, {"workflowName": "b"}]})

    def test_describe(self):
        reply = self.server.get("/models/b").json
        self.assertEqual([list(row) for row in reply], [["workflowName", "models"]])
        model = reply[0]["models"][0]
        self.assertEqual(list(model), [
            "modelName", "modelUrl", "batchSize", "maxBatchDelayMillis", "maxIdleSeconds",
            "queueSize", "requestInQueue", "status", "loadedAtStartup", "workerGroups"])
        self.assertEqual([model[key] for key in list(model)[2:9]],
                         [1, 100, 60, 1000, 0, "Healthy", True])
        group = model["workerGroups"][0]
        self.assertEqual(list(group), ["device", "minWorkers", "maxWorkers", "workers"])
        self.assertEqual(group["device"], {"deviceType": "cpu", "deviceId": -1})
        worker = group["workers"][0]
        self.assertEqual(list(worker), ["id", "startTime", "status"])
        self.assertRegex(worker["startTime"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(worker["status"], "READY")
        self.assert_error(self.server.get("/models/nope"), 404, "ModelNotFoundException",
                          "Workflow not found: nope")
        self.assert_error(self.server.get("/models/a/v1"), 404, "ModelNotFoundException",
                          "Workflow not found: Workflow not found: a/v1")

    def test_register_and_unregister(self):
        self.assertEqual(self.status_text(self.register("new", batch_size=2, max_batch_delay=7)),
                         'Model "new" registered.')
        model = self.server.get("/models/new").json[0]["models"][0]
        self.assertEqual((model["batchSize"], model["maxBatchDelayMillis"], model["loadedAtStartup"]),
                         (2, 7, False))
        self.assertEqual(self.server.post("/predictions/new", HELLO).status, 200)
        text = "Workflow new is already registered."
        self.assert_error(self.register("new"), 409, "BadRequestException", text, text)
        deleted = self.server.call("DELETE", "/models/new")
        self.assertEqual(self.status_text(deleted), 'Model or workflow "new" unregistered')
        self.assert_error(self.server.call("DELETE", "/models/new"), 404, "ModelNotFoundException",
                          "Model or workflow not found: new")
        self.assertEqual(self.server.post("/predictions/new", HELLO).status, 404)

    def test_register_by_query(self):
        reply = self.server.call("POST", "/models?url=a&model_name=q&model_version=v2&min_worker=1"
                                         "&max_worker=2&synchronous=true")
        self.assertEqual(self.status_text(reply), 'Model "q" registered.')
        self.assertEqual(self.server.get("/models/q").json[0]["version"], "v2")
        self.assertEqual(self.server.post("/predictions/q/v2", HELLO).status, 200)
        self.assertEqual(self.server.call("DELETE", "/models/q/v2").status, 200)
        by_url = self.server.call("POST", f"/models?url=file:{self.folder}/a/&model_version=v3")
        self.assertEqual(self.status_text(by_url), 'Model "a" registered.')
        self.assertEqual(len(self.server.get("/models/a").json), 2)
        self.assertEqual(self.server.call("DELETE", "/models/a/v3").status, 200)

    def test_register_later(self):
        reply = self.register("later", synchronous=False)
        self.assertEqual((reply.status, reply.reason), (202, "Accepted"))
        self.assertEqual(self.status_text(reply, 202), 'Model "later" registration scheduled.')
        eventually(lambda: self.server.get("/models/later").json[0]["models"][0]["status"] == "Healthy")

    def test_register_what_cannot_be(self):
        text = "Parameter url is required."
        self.assert_error(self.server.call("POST", "/models"), 400, "BadRequestException", text, text)
        self.assert_error(self.server.post("/models", {"model_name": "x"}), 400,
                          "BadRequestException", text, text)
        nowhere = self.server.call("POST", "/models?url=file:/x/nope")
        self.assertEqual((nowhere.status, nowhere.json["type"]), (404, "ModelNotFoundException"))
        self.assertTrue(nowhere.json["message"].startswith("Invalid model url: file:/x/nope"))
        write_model(os.path.join(self.folder, "bad"), {**ROLLING, "option.dtype": "float16"})
        reply = self.server.post("/models", {"url": "bad"})
        self.assertEqual((reply.status, reply.json["type"]), (500, "EngineException"))
        self.assertIn("float16", reply.json["message"])
        write_model(os.path.join(self.folder, "odd"), ROLLING, {"model_type": "odd"})
        reply = self.server.post("/models", {"url": "odd"})
        self.assertEqual((reply.status, reply.json["type"]), (500, "EngineException"))
        self.assertTrue(reply.json["message"].startswith(
            "Failed to initialize model: prediction failure: "), reply.json)
        self.assertEqual(self.server.get("/models/odd").status, 404)  # removed again
        self.assertEqual(self.server.post("/models", "{").status, 400)
        self.assertEqual(self.server.post("/models", {"url": "a", "model_name": "n", "batch_size": "x"})
                         .json["type"], "NumberFormatException")
        self.assertEqual(self.server.get("/ping").status, 200)

    def test_names(self):
        for name, path in (("org/m 1", "org%2Fm%201"), ("großé", "gro%C3%9F%C3%A9"), ("x,y&z", "x,y%26z")):
            reply = self.server.post("/models", {"model_name": name, "url": "a"})
            self.addCleanup(self.server.call, "DELETE", f"/models/{path}")
            self.assertEqual(self.status_text(reply), f'Model "{name}" registered.')
            self.assertEqual(self.server.get(f"/models/{path}").json[0]["workflowName"], name)
            self.assertEqual(self.server.post(f"/predictions/{path}", HELLO).status, 200)
            self.assertIn(name, self.server.get("/ping").json)
            self.assertEqual(self.server.call("DELETE", f"/models/{path}").status, 200)
        for name in ("a:b", "a=b", "[a]", "a\nb", "x" * 300):
            reply = self.server.post("/models", {"model_name": name, "url": "a"})
            self.assertEqual((reply.status, reply.json["message"][:12]), (400, "model_name: "))

    def test_scale(self):
        self.register("s")
        put = self.server.call("PUT", "/models/s?min_worker=1&max_worker=3")
        self.assertEqual(self.status_text(put), 'Workflow "s" worker scaled. New Worker configuration '
                                                'min workers:1 max workers:3')
        group = self.server.get("/models/s").json[0]["models"][0]["workerGroups"][0]
        self.assertEqual((group["minWorkers"], group["maxWorkers"]), (1, 3))
        put = self.server.call("PUT", "/models/s?min_worker=0&max_worker=0")
        self.assertEqual(put.status, 200)
        self.assert_error(self.server.post("/predictions/s", HELLO), 503, "WlmShutdownException",
                          "All model workers has been shutdown: s")
        put = self.server.call("PUT", "/models/s?min_worker=2")
        self.assertIn("min workers:2 max workers:-1", self.status_text(put))
        self.assertEqual(self.server.post("/predictions/s", HELLO).status, 200)
        self.assert_error(self.server.call("PUT", "/models/s?min_worker=x"), 400,
                          "BadRequestException", 'For input string: "x"')
        self.assert_error(self.server.call("PUT", "/models/nope?min_worker=1"), 404,
                          "ModelNotFoundException", "Model or workflow not found: nope")

    def test_unregister_lets_calls_end(self):
        self.register("gone")
        with self.server.connect() as running:
            running.request("POST", "/predictions/gone", '{"inputs": "a", "parameters": '
                            '{"max_new_tokens": 20000, "output_formatter": "none"}}', JSON)
            reply = running.head()
            self.assertTrue(running.chunk())
            self.assertEqual(self.server.call("DELETE", "/models/gone").status, 200)
            self.assertTrue(running.rest(reply).complete)

    def test_adapters(self):
        target = "/models/a/adapters"
        added = self.server.call("POST", f"{target}?name=n&src=/x")
        self.assertEqual(self.status_text(added), "Adapter n registered")
        self.assertEqual(self.server.get(target).json, {"adapters": [{"name": "n", "src": "/x"}]})
        self.assertEqual(self.server.get(f"{target}/n").json, {"name": "n", "src": "/x"})
        self.assert_error(self.server.call("POST", f"{target}?name=m"), 400, "BadRequestException",
                          "The parameter src is required")
        self.assertEqual(self.server.call("DELETE", f"{target}/n").status, 200)
        self.assert_error(self.server.get(f"{target}/n"), 400, "BadRequestException",
                          "The adapter n was not found")

    def test_logging(self):
        for level in ("?level=debug", "?level=loud", "?level=info", ""):
            reply = self.server.get(f"/server/logging{level}")
            self.assertEqual(self.status_text(reply), "OK")
        self.assertEqual(self.server.get("/server/other").status, 404)

    def test_metrics(self):
        before = self.server.metric("Response_2XX_total"), self.server.metric("Response_4XX_total")
        self.assertEqual(self.server.post("/predictions/a", HELLO).status, 200)
        self.assertEqual(self.server.post("/predictions/a", "{").status, 200)
        after = self.server.metric("Response_2XX_total"), self.server.metric("Response_4XX_total")
        self.assertEqual((after[0] - before[0], after[1] - before[1]), (1, 1))
        page = self.server.get("/server/metrics?name[]=Response_2XX&name[]=RequestLatency")
        self.assertEqual(page.header("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        names = {line.split("{")[0] for line in page.text.splitlines() if not line.startswith("#")}
        self.assertEqual(names, {"Response_2XX_total", "RequestLatency"})
        self.assertIn("# HELP Response_2XX_total : prometheus counter metric, unit: Count", page.text)


class TwoAddressesTest(ServerCase):
    """Each of two addresses serves its own API."""
    models = {"m": ROLLING}

    @classmethod
    def setUpClass(cls):
        cls.env = {**ServerCase.env, "SERVING_MANAGEMENT_ADDRESS": "http://127.0.0.2:0",
                   "SERVING_CORS_ALLOWED_ORIGIN": "*", "SERVING_CORS_ALLOWED_METHODS": "GET",
                   "SERVING_CORS_ALLOWED_HEADERS": "x"}
        super().setUpClass()

    def test_each_serves_its_own(self):
        from harness import Client
        import socket
        port = self.server.port
        management = self.server.wait_for_port("management")
        self.server.port = port
        self.assertNotEqual(port, management)
        client = Client.__new__(Client)
        client.socket = socket.create_connection(("127.0.0.2", management), timeout=30)
        client.stream = client.socket.makefile("rb")
        with client:
            client.request("GET", "/models")
            self.assertEqual(client.reply().json["models"][0]["modelName"], "m")
            client.request("GET", "/ping")
            self.assertEqual(client.reply().status, 404)
        self.assertEqual(self.server.get("/models").status, 404)
        ping = self.server.get("/ping")
        self.assertEqual(ping.status, 200)
        self.assertEqual([name for name, _ in ping.headers], [
            "content-type", "x-request-id", "access-control-allow-origin",
            "access-control-allow-methods", "access-control-allow-headers", "Pragma",
            "Cache-Control", "Expires", "content-length", "connection"])
