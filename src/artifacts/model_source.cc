#include "artifacts/model_source.h"

#include <spdlog/spdlog.h>

#include "artifacts/digest.h"
#include "artifacts/hub.h"
#include "artifacts/model_archive.h"
#include "artifacts/s3.h"
#include "artifacts/snapshot_cache.h"
#include "base/error.h"
#include "base/model_id.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

fs::path unpacked(const fs::path& archive, const EnvironmentLookup& environment) {
  return unpack_model_archive(archive, download_folder(environment) / "archives");
}

// An archive on a web server. What its headers say of the content names it.
fs::path fetch_web_archive(const std::string& url, const EnvironmentLookup& environment,
                           const TransferLimits& limits) {
  const std::string path = url.substr(0, url.find_first_of("?#"));
  if (!has_archive_suffix(path)) {
    throw_error(ErrorKind::kUnsupported,
                "{}: expected an archive: .tar.gz, .tgz, .tar, .tar.z, .zip or .mar", url);
  }
  const SnapshotCache cache(download_folder(environment) / "web", hex(sha256(url)).substr(0, 16));
  const std::string name = path.substr(path.rfind('/') + 1);
  if (is_true_text(environment("DJL_OFFLINE"))) {
    const auto snapshot = cache.find("main");
    if (snapshot) return *snapshot / name;
    throw_error(ErrorKind::kNotFound, "{}: is not in {}, and DJL_OFFLINE forbids a download", url,
                cache.folder().string());
  }
  SnapshotCache::File file;
  file.path = name;
  Download& download = file.download;
  download.name = url.substr(0, url.find('?'));  // a query may hold a signature
  download.request.url = url;
  download.request.ca_file = ca_file_of(environment);
  download.refuse = [url](const WebReply& reply) {
    throw_error(reply.status == 404 ? ErrorKind::kNotFound : ErrorKind::kConfigInvalid,
                "{}: status {}", url, reply.status);
  };
  WebClient client;
  const WebReply head = send_patiently(client, limits, [&] {
    WebRequest request = download.request;
    request.method = "HEAD";
    return request;
  });
  if (head.status == 404 || head.status == 410) download.refuse(head);
  if (head.status == 200 && !head.header("content-length").empty()) {
    download.size = std::strtoll(head.header("content-length").c_str(), nullptr, 10);
  }
  const std::string content = url + "\n" + head.header("etag") + "\n" +
                              head.header("last-modified") + "\n" + head.header("content-length");
  file.etag = download.tag = hex(sha256(content)).substr(0, 40);
  cache.fetch(file.etag, {file}, limits, url);
  cache.set_ref("main", file.etag);
  return cache.snapshot(file.etag) / name;
}

fs::path fetch_from_hub(const ModelSource& source, const EnvironmentLookup& environment,
                        const TransferLimits& limits) {
  HubModel model;
  model.id = source.model;
  if (!source.revision.empty()) model.revision = source.revision;
  model.parts = source.parts;
  model.variant = source.variant;
  try {
    return fetch_hub_model(model, hub_settings(environment), limits);
  } catch (const TransportError&) {
    throw;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNotFound || !source.revision.empty()) throw;
    throw_error(ErrorKind::kNotFound, "no folder {} here; {}", source.model, error.what());
  }
}

// Anything but a model of the hub, for which the path is empty.
fs::path locate(const ModelSource& source, const EnvironmentLookup& environment,
                const TransferLimits& limits) {
  const std::string& text = source.model;
  const bool sane = text.find('\0') == std::string::npos;
  std::error_code error;
  if (sane && fs::is_directory(text, error)) return text;
  if (sane && fs::exists(text, error)) {
    return has_archive_suffix(text) ? unpacked(text, environment) : fs::path(text);
  }
  if (text.starts_with("s3://")) {
    const S3Model model = fetch_s3_model(text, source.parts, environment, limits);
    return model.archive ? unpacked(model.path, environment) : model.path;
  }
  if (is_download_url(text)) {
    return unpacked(fetch_web_archive(text, environment, limits), environment);
  }
  if (sane && is_hub_id(text)) return {};
  throw_error(ErrorKind::kNotFound,
              "{}: no such folder or file; expected a folder, an archive, org/name of the hub or "
              "s3://bucket/prefix",
              text);
}

}  // namespace

fs::path locate_model(const ModelSource& source, const EnvironmentLookup& environment) {
  const TransferLimits limits = transfer_limits(environment);
  std::error_code error;
  const fs::path found = locate(source, environment, limits);
  if (found.empty()) return fetch_from_hub(source, environment, limits);
  if (fs::exists(found / "adapter_config.json", error)) {
    fetch_base_of_adapter(found, source.parts, hub_settings(environment), limits);
  }
  return found;
}

}  // namespace tensormill
