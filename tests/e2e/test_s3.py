"""Models in S3, and model archives: local, in S3 and on a web server."""

import io
import json
import os
import signal
import tarfile
import zipfile

from fake_s3 import S3
from file_server import Fault, FileServer
from harness import Server, eventually
from sources import MODEL, WEIGHTS, SourceCase

KEYS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret/+="}


def archive(files=None, prefix="", mode="w:gz"):
    """A tar archive of a model."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, compresslevel=1) if mode == "w:gz" else \
            tarfile.open(fileobj=buffer, mode=mode) as tar:
        for name, content in (files or MODEL).items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class S3Case(SourceCase):
    def setUp(self):
        super().setUp()
        self.s3 = S3()
        self.addCleanup(self.s3.stop)
        self.env.update(AWS_ENDPOINT_URL=self.s3.url, AWS_REGION=self.s3.region)
        extra = {"pytorch_model.bin": b"x" * 100, "sub folder/a+b&c=d é.txt": b"odd name"}
        self.s3.buckets["bucket"] = {f"models/m/{name}": content for name, content in
                                     {**MODEL, **extra}.items()}
        self.s3.buckets["bucket"]["models/m/"] = b""
        self.s3.buckets["bucket"]["models/mm/config.json"] = b"{}"

    def snapshot(self):
        root = self.path(".cache/tensormill/s3")
        folder, = (name for name in os.listdir(root) if name.startswith("bucket--"))
        with open(os.path.join(root, folder, "refs/main")) as file:
            return os.path.join(root, folder, "snapshots", file.read())

    def weights_path(self):
        return "/bucket/models/m/model.safetensors"


class FetchTest(S3Case):
    def test_a_model(self):
        self.generates("s3://bucket/models/m", **KEYS)
        self.assertEqual(self.files(self.snapshot()), sorted([*MODEL, "sub folder/a+b&c=d é.txt"]))
        ranges = [headers["Range"] for _, _, headers in self.s3.asked("model.safetensors")]
        self.assertGreater(len(ranges), 2)
        self.assertTrue(all("If-Match" in headers for _, _, headers in
                            self.s3.asked("/bucket/models/m/")  if "Range" in headers))
        self.s3.forget()
        self.generates("s3://bucket/models/m/", **KEYS)  # with a slash it is the same folder anew
        self.generates("s3://bucket/models/m", **KEYS)
        self.s3.forget()
        self.generates("s3://bucket/models/m", **KEYS)
        self.assertTrue(all("list-type=2" in request[1] for request in self.s3.requests))
        self.s3.forget()
        self.generates("s3://bucket/models/m", DJL_OFFLINE="true")
        self.assertEqual(self.s3.requests, [])

    def test_what_changed_is_fetched_again(self):
        self.run_command("tokenize", "s3://bucket/models/m", "--text", "a", **KEYS)
        self.assertEqual(self.s3.asked("model.safetensors"), [])
        self.generates("s3://bucket/models/m", **KEYS)
        self.s3.buckets["bucket"]["models/m/tokenizer_config.json"] = b'{"chat_template": "x"}'
        self.s3.forget()
        self.generates("s3://bucket/models/m", **KEYS)
        self.assertEqual([path for _, path, _ in self.s3.requests if "list-type" not in path],
                         ["/bucket/models/m/tokenizer_config.json"])

    def test_serving(self):
        os.makedirs(self.path("m"))
        for key in ("option.model_id", "option.s3url"):
            with open(self.path("m/serving.properties"), "w") as file:
                file.write(f"{key}=s3://bucket/models/m\noption.rolling_batch=auto\n")
            server = Server(self.folder, "m=m", env=self.environment(**KEYS))
            self.addCleanup(server.stop)
            self.assertEqual(server.post("/invocations", {"inputs": "a"}).status, 200)
            server.stop()

    def test_faults(self):
        self.s3.fail(self.weights_path(), *[Fault(cut=200000 + i) for i in range(4)], Fault(503), Fault(500))
        self.s3.fail("/bucket/", Fault(503))
        self.generates("s3://bucket/models/m", **KEYS)
        self.s3.fail("/bucket/models/m/config.json", Fault(corrupt=True))
        done = self.generates("s3://bucket/models/m", **KEYS, SERVING_DOWNLOAD_DIR=self.path("other"))
        self.assertIn("wrong checksum (MD5", done.stderr)
        # Under a key of one's own the ETag is no MD5.
        self.s3.headers["x-amz-server-side-encryption"] = "aws:kms"
        self.s3.etags["bucket", "models/m/config.json"] = "0" * 32
        self.generates("s3://bucket/models/m", **KEYS, DJL_CACHE_DIR=self.path("third"))

    def test_an_object_that_changes(self):
        self.s3.fail("/bucket/models/m/config.json", Fault(412, body=b""))
        self.assertIn("s3://bucket/models/m/config.json: the object changed while it was downloaded",
                      self.fails("generate", "s3://bucket/models/m", "--prompt", "a", **KEYS))

    def test_an_interruption(self):
        self.s3.fail(self.weights_path(), *[Fault(slow=0.3)] * 50)
        process = self.start_command("generate", "s3://bucket/models/m", "--prompt", "a", **KEYS)
        eventually(lambda: any(".ranges.incomplete" in name for name in self.files(self.folder)))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130, error)
        self.s3.forget()
        self.generates("s3://bucket/models/m", **KEYS)


class AccessTest(S3Case):
    def tokenizes(self, **env):
        self.run_command("tokenize", "s3://bucket/models/m", "--text", "a", **env)
        folder = self.path(".cache/tensormill")
        os.rename(folder, folder + str(len(os.listdir(self.path(".cache")))))

    def test_the_places_of_credentials(self):
        self.tokenizes(**KEYS)
        self.tokenizes(AWS_ACCESS_KEY_ID="ASIAROLE", AWS_SECRET_ACCESS_KEY="role secret",
                       AWS_SESSION_TOKEN="session==")
        with open(self.path("token"), "w") as file:
            file.write("the web token\n")
        web = {"AWS_WEB_IDENTITY_TOKEN_FILE": self.path("token"), "AWS_ROLE_ARN": "arn:aws:iam::1:role/web"}
        self.tokenizes(**web)
        self.tokenizes(AWS_CONTAINER_CREDENTIALS_FULL_URI=self.s3.url + "/container",
                       AWS_CONTAINER_AUTHORIZATION_TOKEN="container token")
        self.tokenizes(AWS_EC2_METADATA_DISABLED="", AWS_EC2_METADATA_SERVICE_ENDPOINT=self.s3.url)
        error = self.fails("tokenize", "s3://bucket/models/m", "--text", "a",
                           **{**web, "AWS_ROLE_ARN": "other"})
        self.assertIn("refuses: AccessDenied: Not authorized", error)

    def test_profiles(self):
        os.makedirs(self.path(".aws"))
        with open(self.path(".aws/credentials"), "w") as file:
            file.write("[keys]\naws_access_key_id = AKIATEST\naws_secret_access_key = secret/+=\n")
        with open(self.path(".aws/config"), "w") as file:
            file.write(f"[default]\n[profile keys]\nregion = {self.s3.region}\nendpoint_url = {self.s3.url}\n"
                       f"s3 =\n  addressing_style = path\n"
                       "[profile role]\nrole_arn = arn:x\nsource_profile = keys\n")
        self.tokenizes(AWS_PROFILE="keys", AWS_REGION="", AWS_ENDPOINT_URL="")
        self.tokenizes(AWS_PROFILE="role")
        error = self.fails("tokenize", "s3://bucket/models/m", "--text", "a", AWS_PROFILE="none")
        self.assertIn("AWS_PROFILE=none: no such profile in", error)

    def test_refusals(self):
        def fails(url="s3://bucket/models/m", **env):
            return self.fails("tokenize", url, "--text", "a", **env)

        self.assertIn("no credentials were found: looked at AWS_ACCESS_KEY_ID", fails())
        self.assertIn("SignatureDoesNotMatch", fails(**{**KEYS, "AWS_SECRET_ACCESS_KEY": "wrong"}))
        self.assertIn("InvalidAccessKeyId", fails(**{**KEYS, "AWS_ACCESS_KEY_ID": "AKIANOBODY"}))
        self.assertIn("credentials: AWS_ACCESS_KEY_ID; region eu-test-1",
                      fails(**{**KEYS, "AWS_SESSION_TOKEN": "x"}))
        self.assertIn("s3://none/models/m/: no such bucket", fails("s3://none/models/m", **KEYS))
        self.assertIn("s3://bucket/none: there are no objects", fails("s3://bucket/none", **KEYS))
        self.assertIn("expected s3://bucket/prefix", fails("s3://", **KEYS))

    def test_another_region(self):
        self.tokenizes(**KEYS, AWS_REGION="us-other-1")


class ArchiveTest(S3Case):
    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)
        return self.path(name)

    def test_local_archives(self):
        self.generates(self.write("model.tar.gz", archive()))
        self.generates(self.write("inner.tar", archive(prefix="./inner/", mode="w:")))
        self.generates(self.write("model.tgz", archive(mode="w:xz")))  # whatever it is called
        with zipfile.ZipFile(self.path("model.zip"), "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in MODEL.items():
                file.writestr(name, content)
        self.generates("model.zip")
        unpacked = self.path(".cache/tensormill/archives")
        self.assertEqual(len([name for name in os.listdir(unpacked) if not name.endswith(".lock")]), 4)
        self.assertNotIn("unpacking", self.generates("model.zip").stderr)

    def test_archives_of_s3_and_the_web(self):
        self.s3.buckets["bucket"]["a/model.tar.gz"] = archive()
        self.s3.fail("/bucket/a/model.tar.gz", Fault(cut=5000))
        self.generates("s3://bucket/a/model.tar.gz", **KEYS)

        class Web(FileServer):
            def handle(self, handler):
                handler.reply_file(archive(), {"etag": '"1"'})

        web = Web()
        self.addCleanup(web.stop)
        self.generates(web.url + "/m/model.tar.gz?x=1")
        self.assertIn("expected an archive", self.fails("generate", web.url + "/m", "--prompt", "a"))
        web.fail("/none.zip", Fault(404), Fault(404))
        self.assertIn("status 404", self.fails("generate", web.url + "/none.zip", "--prompt", "a"))

    def test_serving_archives(self):
        properties = b"option.rolling_batch=auto\noption.max_tokens=500\n"
        content = archive({**MODEL, "serving.properties": properties})
        self.write("one.tar.gz", content)
        os.makedirs(self.path("store"))
        self.write("store/two.tar.gz", content)
        self.s3.buckets["bucket"]["three.tar.gz"] = content
        for arguments, name in ((["one.tar.gz"], "one"), (["-s", "store"], "two"),
                                (["-m", "x=s3://bucket/three.tar.gz"], "x")):
            server = Server(self.folder, *arguments, env=self.environment(**KEYS))
            self.addCleanup(server.stop)
            self.assertEqual([model["modelName"] for model in server.get("/models").json["models"]], [name])
            self.assertEqual(server.post("/invocations", {"inputs": "a"}).status, 200)
            self.assertIn("option.max_tokens     500", server.log())
            reply = server.call("POST", "/models?url=s3://bucket/three.tar.gz&model_name=late")
            self.assertEqual(reply.json["status"], 'Model "late" registered.')
            reply = server.call("POST", "/models?url=s3://bucket/three.tar.gz&synchronous=false")
            self.assertEqual(reply.json["status"], 'Model "three" registration scheduled.')
            reply = server.call("POST", "/models?url=s3://bucket/none.tar.gz")
            self.assertEqual(reply.status, 404)
            server.stop()

    def test_archives_that_are_refused(self):
        def refused(name, content, message):
            self.assertIn(message, self.fails("tokenize", self.write(name, content), "--text", "a"))

        whole = archive()
        refused("cut.tar.gz", whole[:len(whole) // 2], "truncated gzip input")
        refused("none.tar.gz", b"not an archive at all", "Unrecognized archive format")
        refused("up.tar", archive({"../evil": b"x"}, mode="w:"), "a path that leads out")
        refused("abs.tar", archive({"/tmp/evil": b"x"}, mode="w:"), "an absolute path")
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:") as tar:
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "../../.."
            tar.addfile(link)
        refused("link.tar", buffer.getvalue(), "a link to \"../../..\": refused")
        refused("bomb.tar.gz", archive({"zeros": bytes(1 << 20)})[:0] + archive({"a": b"x"})[:20],
                "truncated gzip input")
        self.assertEqual([name for name in self.files(self.path(".cache/tensormill/archives"))
                          if not name.endswith(".lock")], [])
