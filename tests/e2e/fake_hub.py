"""A hub of models for the tests: repositories, revisions, tokens, and large files on another host."""

import hashlib
import json
import re
import urllib.parse

from file_server import FileServer

LARGE = 10000  # bytes from which a file is large: stored elsewhere, named by its SHA-256


def git_name(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Cdn(FileServer):
    """Where large files lie. It refuses whoever shows it a token that isn't its own."""

    def __init__(self, tls=None):
        super().__init__(tls)
        self.files = {}

    def handle(self, handler):
        if handler.headers.get("authorization"):
            return handler.reply(400, body=b"only one auth mechanism allowed")
        content = self.files.get(handler.path.split("?")[0])
        if content is None:
            return handler.reply(404)
        handler.reply_file(content, {"etag": '"of-the-cdn"', "accept-ranges": "bytes"})


class Repository:
    def __init__(self, files, gated=False, private=False):
        self.commits = {}  # commit -> {path: content}
        self.refs = {}
        self.gated, self.private = gated, private
        self.commit("main", files)

    def commit(self, ref, files):
        text = json.dumps({path: git_name(content) for path, content in files.items()}, sort_keys=True)
        commit = hashlib.sha1(text.encode()).hexdigest()
        self.commits[commit] = files
        self.refs[ref] = commit
        return commit


class Hub(FileServer):
    token = "hf_test"

    def __init__(self, lists_blobs=True, tls=None):
        super().__init__(tls)
        self.cdn = Cdn(tls)
        self.repositories = {}
        self.lists_blobs = lists_blobs

    def add(self, name, files, **options):
        self.repositories[name] = Repository(files, **options)
        return self.repositories[name]

    def forget(self):
        super().forget()
        self.cdn.forget()

    def stop(self):
        super().stop()
        self.cdn.stop()

    def handle(self, handler):
        path = urllib.parse.unquote(handler.path.split("?")[0])
        api = re.fullmatch(r"/api/models/(.+?)/revision/(.+)", path)
        file = re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path)
        if not api and not file:
            return handler.reply(404)
        name, revision = (api or file).group(1, 2)
        repository = self.repositories.get(name)
        shown = handler.headers.get("authorization")
        if shown and shown != f"Bearer {self.token}":
            return handler.reply(401, {"x-error-message": "Invalid credentials in Authorization header"})
        if repository is None or (repository.private and not shown):
            status = 404 if shown else 401
            return handler.reply(status, {"x-error-code": "RepoNotFound",
                                          "x-error-message": "Repository not found"})
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            return handler.reply(404, {"x-error-code": "RevisionNotFound",
                                       "x-error-message": f"Invalid rev id: {revision}"})
        files = repository.commits[commit]
        if api:
            return self.list(handler, name, commit, files)
        if repository.gated:
            return handler.reply(403 if shown else 401, {
                "x-error-code": "GatedRepo", "x-error-message": f"Access to model {name} is restricted."})
        if file[3] not in files:
            return handler.reply(404, {"x-error-code": "EntryNotFound",
                                       "x-error-message": "Entry not found"})
        self.send(handler, commit, files[file[3]])

    def list(self, handler, name, commit, files):
        blobs = self.lists_blobs and "blobs=true" in handler.path
        siblings = []
        for path, content in files.items():
            entry = {"rfilename": path}
            if blobs:
                entry.update(size=len(content), blobId=git_name(content))
            if blobs and len(content) >= LARGE:
                entry["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content),
                                "pointerSize": 130}
            siblings.append(entry)
        body = {"_id": "1", "id": name, "modelId": name, "sha": commit, "private": False, "tags": [],
                "downloads": 0, "likes": 0, "siblings": siblings}
        handler.reply(200, {"content-type": "application/json"}, json.dumps(body).encode())

    def send(self, handler, commit, content):
        if len(content) < LARGE:
            return handler.reply_file(content, {"etag": f'"{git_name(content)}"', "x-repo-commit": commit})
        digest = hashlib.sha256(content).hexdigest()
        self.cdn.files["/" + digest] = content
        handler.reply(302, {"location": f"{self.cdn.url}/{digest}?signature=x", "x-repo-commit": commit,
                            "x-linked-etag": f'"{digest}"', "x-linked-size": str(len(content))})
