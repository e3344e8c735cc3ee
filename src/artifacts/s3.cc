#include "artifacts/s3.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>

#include "artifacts/digest.h"
#include "artifacts/s3_bucket.h"
#include "artifacts/snapshot_cache.h"
#include "artifacts/xml.h"
#include "base/error.h"
#include "base/model_id.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr const char *kScheme = "s3://", *kRef = "main";

// Formats that nothing here reads, and weights where they aren't wanted.
bool is_left_out(const std::string& path, const NeededFiles& needed, ModelParts parts) {
  const auto ends = [&](std::initializer_list<std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return path.ends_with(ending); });
  };
  if (ends({".h5", ".msgpack", ".ot", ".onnx", ".tflite"})) return true;
  if (parts == ModelParts::kWithoutWeights) return ends({".safetensors", ".bin", ".pt", ".gguf"});
  const bool safetensors =
      needed.index.starts_with("model.safetensors") ||
      (!needed.weights.empty() && needed.weights.front().ends_with(".safetensors"));
  return safetensors && path.starts_with("pytorch_model") && path.find(".bin") != std::string::npos;
}

std::string short_hash(const std::string& text) {
  return hex(sha256(text)).substr(0, 40);
}

// Names the content of one object; S3's ETag alone would do but for characters and collisions.
std::string blob_name(const S3Object& object) {
  return short_hash(fmt::format("{}\n{}\n{}", object.key, object.etag, object.size));
}

bool is_md5(const std::string& etag) {
  return etag.size() == 32 && etag.find('-') == std::string::npos;
}

// Under a key of one's own the ETag is no MD5.
bool is_encrypted(const WebReply& reply) {
  return reply.header("x-amz-server-side-encryption").starts_with("aws:kms") ||
         !reply.header("x-amz-server-side-encryption-customer-algorithm").empty();
}

struct Wanted {
  S3Object object;
  std::string path;  // below the prefix
};

// What is to be fetched of a listing. One object whose key is the whole prefix is an archive.
std::vector<Wanted> choose(const std::vector<S3Object>& objects, const std::string& prefix,
                           ModelParts parts, const std::string& label) {
  std::vector<Wanted> all;
  std::vector<std::string> names;
  for (const S3Object& object : objects) {
    if (object.key.ends_with('/')) continue;  // a folder's marker
    Wanted wanted{object, object.key.substr(prefix.size())};
    if (!is_safe_path(wanted.path)) {
      spdlog::warn("{}: the key {} is no path of a file, left out", label, object.key);
      continue;
    }
    names.push_back(wanted.path);
    all.push_back(std::move(wanted));
  }
  if (std::find(names.begin(), names.end(), "config.json") == names.end()) return all;
  NeededFiles needed;
  try {
    needed = choose_files(names, "", label);
  } catch (const Error&) {
    return all;  // several GGUF files or the like: whoever reads the folder says what is wrong
  }
  std::erase_if(all, [&](const Wanted& file) { return is_left_out(file.path, needed, parts); });
  return all;
}

}  // namespace

S3Url parse_s3_url(const std::string& url) {
  S3Url result;
  if (url.starts_with(kScheme)) {
    const std::string rest = url.substr(std::string_view(kScheme).size());
    const size_t slash = std::min(rest.find('/'), rest.size());
    result.bucket = rest.substr(0, slash);
    result.key = slash < rest.size() ? rest.substr(slash + 1) : "";
  }
  const bool good = !result.bucket.empty() && result.bucket.size() <= 255 &&
                    std::all_of(result.bucket.begin(), result.bucket.end(), [](unsigned char c) {
                      return c < 128 && (std::isalnum(c) || c == '-' || c == '.' || c == '_');
                    });
  if (!good) throw_error(ErrorKind::kBadRequest, "{}: expected s3://bucket/prefix", url);
  return result;
}

S3Page parse_s3_page(std::string_view xml, const std::string& origin) {
  const XmlElement root = parse_xml(xml, origin);
  if (root.name != "ListBucketResult") {
    throw_error(ErrorKind::kArtifactInvalid, "{}: expected ListBucketResult, found {}", origin,
                root.name);
  }
  S3Page page;
  for (const XmlElement& entry : root.children) {
    if (entry.name != "Contents") continue;
    S3Object object{entry.text_of("Key"), entry.text_of("ETag"), -1};
    std::erase(object.etag, '"');
    const std::string size = entry.text_of("Size");
    std::from_chars(size.data(), size.data() + size.size(), object.size);
    if (object.key.empty() || object.size < 0) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: an object without Key or Size", origin);
    }
    page.objects.push_back(std::move(object));
  }
  if (root.text_of("IsTruncated") == "true") {
    page.next = root.text_of("NextContinuationToken");
    if (page.next.empty()) {
      throw_error(ErrorKind::kArtifactInvalid, "{}: a part of a list without its continuation",
                  origin);
    }
  }
  return page;
}

S3Model fetch_s3_model(const std::string& url, ModelParts parts,
                       const EnvironmentLookup& environment, const TransferLimits& limits) {
  const S3Url place = parse_s3_url(url);
  S3Bucket bucket(place.bucket, environment, limits);
  const std::string id = short_hash(bucket.endpoint() + "\n" + place.bucket + "\n" + place.key);
  const SnapshotCache cache(download_folder(environment) / "s3",
                            fmt::format("{}--{}", place.bucket, id.substr(0, 16)));
  const bool archive = has_archive_suffix(place.key);
  const std::string file_name = place.key.substr(place.key.rfind('/') + 1);
  const auto result = [&](const fs::path& snapshot) -> S3Model {
    return {archive ? snapshot / file_name : snapshot, archive};
  };
  if (is_true_text(environment("DJL_OFFLINE"))) {
    const auto snapshot = cache.find(kRef);
    if (snapshot) return result(*snapshot);
    throw_error(ErrorKind::kNotFound, "{}: is not in {}, and DJL_OFFLINE forbids a download", url,
                cache.folder().string());
  }

  std::string prefix = place.key;
  if (!archive && !prefix.empty() && !prefix.ends_with('/')) prefix += '/';
  std::vector<S3Object> objects = bucket.list(prefix);
  if (archive) {
    std::erase_if(objects, [&](const S3Object& object) { return object.key != place.key; });
    prefix.resize(prefix.size() - file_name.size());
  }
  const std::vector<Wanted> wanted = choose(objects, prefix, parts, url);
  if (wanted.empty()) throw_error(ErrorKind::kNotFound, "{}: there are no objects", url);

  std::string content;
  std::vector<SnapshotCache::File> files;
  for (const Wanted& one : wanted) {
    content += blob_name(one.object) + one.path + "\n";
    SnapshotCache::File file;
    file.path = one.path;
    file.etag = blob_name(one.object);
    Download& download = file.download;
    download.name = "s3://" + place.bucket + "/" + one.object.key;
    download.request = bucket.get(one.object.key);
    download.request.headers = {{"If-Match", "\"" + one.object.etag + "\""}};
    download.sign = [&bucket](WebRequest& request) { bucket.sign(request); };
    download.size = one.object.size;
    download.tag = one.object.etag;
    if (is_md5(one.object.etag)) {
      download.digest = Digest::kMd5;
      download.expected = one.object.etag;
      download.no_digest = is_encrypted;
    }
    download.refuse = [&bucket, name = download.name](const WebReply& reply) {
      bucket.refuse(reply, name);
    };
    files.push_back(std::move(file));
  }
  const std::string commit = short_hash(content);
  cache.fetch(commit, std::move(files), limits, url);
  cache.set_ref(kRef, commit);
  return result(cache.snapshot(commit));
}

}  // namespace tensormill
