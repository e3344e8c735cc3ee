"""An S3 for the tests that checks every signature itself, with the token service and both metadata
services beside it."""

import hashlib
import hmac
import json
import re
import urllib.parse
from xml.sax.saxutils import escape

from file_server import FileServer

KEYS = {"AKIATEST": ("secret/+=", ""), "ASIAROLE": ("role secret", "session=="),
        "ASIACONTAINER": ("container secret", "container session"),
        "ASIAINSTANCE": ("instance secret", "instance session")}


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def signature_error(handler, region, service, body):
    """Code of the error that AWS would answer; None: the signature is right."""
    header = handler.headers.get("authorization")
    if not header:
        return "AccessDenied"
    found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/([^/]+)/aws4_request, "
                         r"SignedHeaders=(\S+), Signature=([0-9a-f]{64})", header)
    if not found:
        return "AuthorizationHeaderMalformed"
    key, date, signed_region, signed_service, names, signature = found.groups()
    if key not in KEYS:
        return "InvalidAccessKeyId"
    if signed_region != region:
        return "AuthorizationHeaderMalformed"
    secret, token = KEYS[key]
    if (handler.headers.get("x-amz-security-token") or "") != token:
        return "InvalidToken"
    if signed_service != service or "host" not in names.split(";"):
        return "SignatureDoesNotMatch"
    for name in handler.headers.keys():
        if name.lower().startswith("x-amz-") and name.lower() not in names.split(";"):
            return "AccessDenied"  # there were headers that were not signed
    path, _, query = handler.path.partition("?")
    pairs = sorted((quote(key), quote(value)) for key, value in
                   urllib.parse.parse_qsl(query, keep_blank_values=True))
    headers = "".join(f"{name}:{' '.join(handler.headers[name].split())}\n" for name in names.split(";"))
    digest = hashlib.sha256(body).hexdigest()
    if service == "s3" and handler.headers.get("x-amz-content-sha256") != digest:
        return "XAmzContentSHA256Mismatch"
    path = "/".join(quote(urllib.parse.unquote(part)) for part in path.split("/"))
    canonical = "\n".join([handler.command, path, "&".join("=".join(pair) for pair in pairs), headers,
                           names, digest])
    scope = f"{date}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", handler.headers["x-amz-date"], scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    signing = sign(sign(sign(sign(b"AWS4" + secret.encode(), date), region), service), "aws4_request")
    expected = hmac.new(signing, text.encode(), hashlib.sha256).hexdigest()
    return None if hmac.compare_digest(expected, signature) else "SignatureDoesNotMatch"


def etag(content):
    return hashlib.md5(content).hexdigest()


class S3(FileServer):
    region = "eu-test-1"
    page = 2  # keys of one page of a list
    assumable = {"arn:aws:iam::1:role/web": "the web token"}

    def __init__(self):
        super().__init__()
        self.buckets = {}
        self.etags = {}  # (bucket, key) -> an ETag that isn't the MD5
        self.headers = {}  # more headers of every object

    def error(self, handler, status, code, message="no", extra=""):
        body = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message>{extra}</Error>"
        handler.reply(status, {"content-type": "application/xml"}, body.encode())

    def handle(self, handler):
        path = urllib.parse.unquote(handler.path.split("?")[0])
        if handler.command == "POST" and path == "/":
            return self.assume(handler)
        if path.startswith("/latest/"):
            return self.metadata(handler, path)
        if path == "/container":
            if handler.headers.get("authorization") != "container token":
                return handler.reply(401)
            return self.credentials(handler, "ASIACONTAINER")
        problem = signature_error(handler, self.region, "s3", handler.body)
        if problem:
            region = f"<Region>{self.region}</Region>"
            return self.error(handler, 400 if problem == "AuthorizationHeaderMalformed" else 403, problem,
                              "wrong region" if region else "no", region)
        _, bucket, key = path.split("/", 2)
        if bucket not in self.buckets:
            return self.error(handler, 404, "NoSuchBucket")
        if not key:
            return self.list(handler, bucket)
        if key not in self.buckets[bucket]:
            return self.error(handler, 404, "NoSuchKey")
        content = self.buckets[bucket][key]
        tag = self.etags.get((bucket, key), etag(content))
        if handler.headers.get("if-match", f'"{tag}"') != f'"{tag}"':
            return self.error(handler, 412, "PreconditionFailed")
        handler.reply_file(content, {"etag": f'"{tag}"', **self.headers})

    def list(self, handler, bucket):
        query = dict(urllib.parse.parse_qsl(handler.path.partition("?")[2], keep_blank_values=True))
        prefix = query.get("prefix", "")
        keys = sorted(key for key in self.buckets[bucket] if key.startswith(prefix))
        begin = int(query.get("continuation-token", "0 ").split()[0])
        end = begin + self.page
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;{self.etags.get((bucket, key), etag(self.buckets[bucket][key]))}&quot;</ETag>"
            f"<Size>{len(self.buckets[bucket][key])}</Size></Contents>" for key in keys[begin:end])
        more = end < len(keys)
        rest = f"<NextContinuationToken>{end} +/=</NextContinuationToken>" if more else ""
        handler.reply(200, {"content-type": "application/xml"}, (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{bucket}</Name><IsTruncated>{str(more).lower()}</IsTruncated>{rest}{rows}"
            "</ListBucketResult>").encode())

    def assume(self, handler):
        form = dict(urllib.parse.parse_qsl(handler.body.decode()))
        if form.get("Action") == "AssumeRole":
            problem = signature_error(handler, self.region, "sts", handler.body)
            if problem:
                return self.error(handler, 403, problem)
        elif self.assumable.get(form.get("RoleArn")) != form.get("WebIdentityToken"):
            return self.error(handler, 403, "AccessDenied", "Not authorized to perform this")
        secret, token = KEYS["ASIAROLE"]
        action = form["Action"]
        handler.reply(200, {"content-type": "text/xml"}, (
            f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>'
            f"<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
            f"</Credentials></{action}Result></{action}Response>").encode())

    def metadata(self, handler, path):
        if path == "/latest/api/token" and handler.command == "PUT":
            return handler.reply(200, body=b"instance token")
        if handler.headers.get("x-aws-ec2-metadata-token") != "instance token":
            return handler.reply(401)
        if path.endswith("/security-credentials/"):
            return handler.reply(200, body=b"the-role")
        self.credentials(handler, "ASIAINSTANCE")

    def credentials(self, handler, key):
        secret, token = KEYS[key]
        handler.reply(200, {"content-type": "application/json"}, json.dumps(
            {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token,
             "Expiration": "2099-01-01T00:00:00Z"}).encode())
