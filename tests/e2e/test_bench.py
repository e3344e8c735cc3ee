"""`tensormill bench`: the engine alone, and a server over HTTP."""

import json
import os
import socketserver
import subprocess
import threading
import unittest

from harness import BINARY, PATIENCE, ROLLING, ServerCase


def bench(*arguments):
    done = subprocess.run([BINARY, "bench", *arguments, "--log-level", "off"], capture_output=True,
                          text=True, timeout=4 * PATIENCE, check=False)
    return done.returncode, done.stdout, done.stderr


class ClosingServer(socketserver.StreamRequestHandler):
    """Answers one request a connection and closes it, though HTTP/1.1 keeps it open unless told."""

    def handle(self):
        length = 0
        while (line := self.rfile.readline().strip()):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if self.rfile.read(length):
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n"
                             b'{"token": {"text": "a"}}')


class BenchTest(ServerCase):
    models = {"m": ROLLING}

    @property
    def model(self):
        return os.path.join(self.folder, "m")

    def measure(self, *arguments):
        code, out, err = bench(self.model, "--json", "--repeat", "2", *arguments)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def test_over_http(self):
        port = self.server.port
        for path in ("/predictions/m", "/v1/chat/completions"):
            result = self.measure("--url", f"http://127.0.0.1:{port}{path}", "--concurrency", "1,3",
                                  "--prompt-tokens", "20", "--new-tokens", "6", "--requests", "5",
                                  "--warm-up", "0")
            self.assertEqual(result["prompt_tokens"], 20)
            self.assertEqual([run["concurrency"] for run in result["runs"]], [1, 3])
            for run in result["runs"]:
                # Bytes that are no whole letter make no text of their own in a chat.
                self.assertLessEqual(run["pieces_per_request"], 6)
                self.assertGreater(run["pieces_per_request"], 0)
                if path == "/predictions/m":
                    self.assertEqual(run["pieces_per_request"], 6)
                self.assertGreater(run["first_token_ms_p50"], 0)
                self.assertAlmostEqual(run["tokens_per_second"], 6 * run["requests_per_second"])
                self.assertLessEqual(run["requests_per_second_min"], run["requests_per_second_max"])

    def test_a_server_that_closes_what_it_kept(self):
        with socketserver.ThreadingTCPServer(("127.0.0.1", 0), ClosingServer) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            result = self.measure("--url", f"http://127.0.0.1:{server.server_address[1]}/a",
                                  "--concurrency", "2", "--prompt-tokens", "4", "--new-tokens", "1",
                                  "--requests", "7")
            server.shutdown()
        self.assertEqual(result["runs"][0]["pieces_per_request"], 1)

    def test_errors_are_told(self):
        port = self.server.port
        code, _, err = bench(self.model, "--url", f"http://127.0.0.1:{port}/nothing")
        self.assertEqual(code, 1)
        self.assertIn("status 404", err)
        code, _, err = bench(self.model, "--url", "http://127.0.0.1:1", "--concurrency", "1")
        self.assertEqual(code, 1)
        self.assertIn("127.0.0.1:1: Connection refused", err)

    def test_rows_of_the_engine(self):
        result = self.measure("--random-weights", "--prompt-tokens", "4,9", "--concurrency", "1,2",
                              "--new-tokens", "3")
        rows = [(run["prompt_tokens"], run["concurrency"]) for run in result["runs"]]
        self.assertEqual(rows, [(4, 1), (4, 2), (9, 1), (9, 2)])
        for run in result["runs"]:
            for name in ("prefill_tokens_per_second", "decode_tokens_per_second"):
                self.assertGreater(run[f"{name}_min"], 0)
                self.assertLessEqual(run[f"{name}_min"], run[name])
                self.assertLessEqual(run[name], run[f"{name}_max"])
        self.assertGreater(result["peak_anonymous_bytes"], 0)
        grid = self.measure("--random-weights", "--grid", "--new-tokens", "2")
        rows = [(run["prompt_tokens"], run["new_tokens"], run["concurrency"]) for run in grid["runs"]]
        self.assertEqual(rows, [(128, 1, 1), (512, 1, 1), (2048, 1, 1), (128, 2, 1), (128, 2, 4),
                                (128, 2, 8), (128, 2, 16), (128, 2, 32)])

    def test_rows_on_request(self):
        command = [BINARY, "bench", self.model, "--random-weights", "--follow", "--repeat", "1",
                   "--concurrency", "2", "--log-level", "off"]
        done = subprocess.run(command, input="8 3 2\n5 1 1\n", capture_output=True, text=True,
                              timeout=4 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        ready, *lines = done.stdout.splitlines()
        self.assertEqual(ready, "ready")
        rows = [json.loads(line) for line in lines]
        self.assertEqual([(row["prompt_tokens"], row["new_tokens"]) for row in rows], [(8, 3), (5, 1)])
        self.assertGreater(rows[0]["decode_tokens_per_second"], 0)
        self.assertEqual(rows[1]["decode_tokens_per_second"], 0)
        for line in ("8 3 3", "200 100 1", "8 0 1", "8"):
            done = subprocess.run(command, input=line, capture_output=True, text=True,
                                  timeout=4 * PATIENCE, check=False)
            self.assertEqual(done.returncode, 1, line)
            self.assertIn("expected PROMPT NEW CONCURRENCY", done.stderr)


if __name__ == "__main__":
    unittest.main()
