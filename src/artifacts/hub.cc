#include "artifacts/hub.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <optional>

#include "artifacts/hub_errors.h"
#include "artifacts/snapshot_cache.h"
#include "base/error.h"
#include "base/json.h"
#include "base/model_id.h"

namespace fs = std::filesystem;

namespace tensormill {
namespace {

constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr int kAskTries = 4, kAskTriesWithCache = 2;

std::string trimmed(std::string text) {
  const auto blank = [](unsigned char c) { return std::isspace(c) != 0; };
  text.erase(text.begin(), std::find_if_not(text.begin(), text.end(), blank));
  while (!text.empty() && blank(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

std::string first_of(const EnvironmentLookup& environment,
                     std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (std::string value = environment(name); !value.empty()) return value;
  }
  return {};
}

void read_token(HubSettings& hub, const fs::path& home, const EnvironmentLookup& environment) {
  if (is_true_text(environment("HF_HUB_DISABLE_IMPLICIT_TOKEN"))) return;
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    hub.token = trimmed(environment(name));
    hub.token_source = name;
    if (!hub.token.empty()) break;
  }
  if (hub.token.empty()) {
    const std::string named = environment("HF_TOKEN_PATH");
    const fs::path file = named.empty() ? home / "token" : expand_path(named, environment);
    std::ifstream stream(file, std::ios::binary);
    hub.token = trimmed({std::istreambuf_iterator<char>(stream), {}});
    hub.token_source = file.string();
  }
  const bool clean = std::all_of(hub.token.begin(), hub.token.end(),
                                 [](unsigned char c) { return c > 32 && c < 127; });
  if (!clean) {
    throw_error(ErrorKind::kConfigInvalid,
                "{}: the token has blanks or control characters in it; expected hf_...",
                hub.token_source);
  }
}

// One look at one model.
class HubFetch {
 public:
  HubFetch(const HubModel& model, const HubSettings& hub, const TransferLimits& limits)
      : model_(model), hub_(hub), limits_(limits), cache_(hub.cache, folder_name(model.id)) {}

  fs::path run();

 private:
  static std::string folder_name(const std::string& id) {
    std::string name = "models--" + id;
    if (const size_t slash = name.find('/'); slash != std::string::npos) {
      name.replace(slash, 1, "--");
    }
    return name;
  }

  WebRequest request_to(const std::string& path) const;
  std::optional<fs::path> cached() const;
  std::optional<HubListing> list() const;
  fs::path fetch(const HubListing& listing) const;
  SnapshotCache::File file_of(const HubListing& listing, const std::string& path) const;
  void ask_about(HubFile& file, const std::string& url) const;
  std::string refusal(const WebReply& reply, const std::string& file) const;

  const HubModel& model_;
  const HubSettings& hub_;
  const TransferLimits& limits_;
  SnapshotCache cache_;
};

WebRequest HubFetch::request_to(const std::string& path) const {
  WebRequest request;
  request.url = hub_.endpoint + path;
  if (!hub_.token.empty()) request.secrets = {{"Authorization", "Bearer " + hub_.token}};
  request.ca_file = hub_.ca_file;
  request.connect_seconds = request.stall_seconds = hub_.timeout_seconds;
  return request;
}

// The snapshot of an earlier download, where nothing is missing.
std::optional<fs::path> HubFetch::cached() const {
  const std::optional<fs::path> folder = cache_.find(model_.revision);
  if (!folder || !missing_of_folder(*folder, model_.parts, model_.variant).empty()) {
    return std::nullopt;
  }
  return folder;
}

// None: the hub can't be asked, and the cache has the model.
std::optional<HubListing> HubFetch::list() const {
  const std::string path = fmt::format("/api/models/{}/revision/{}?blobs=true", model_.id,
                                       percent_encode(model_.revision, false));
  const bool have = cached().has_value();
  TransferLimits limits = limits_;
  limits.tries = have ? kAskTriesWithCache : kAskTries;
  WebClient client;
  WebReply reply;
  try {
    reply = send_patiently(client, limits, [&] { return request_to(path); });
  } catch (const TransportError& error) {
    const bool here = error.transient() && have;
    if (!here) {
      throw TransportError(error.kind(),
                           fmt::format("{}: {} (not in the cache {} either)", model_.id,
                                       error.what(), hub_.cache.string()),
                           error.transient());
    }
    spdlog::warn("{}: {}; taking what is in the cache", model_.id, error.what());
    return std::nullopt;
  }
  if (reply.status == 200) return parse_model_info(reply.body, hub_.endpoint + path);
  if (have && reply.status != 404) {
    spdlog::warn("{}; taking what is in the cache", hub_refusal(model_, hub_, reply, "").message);
    return std::nullopt;
  }
  throw hub_error(model_, hub_, reply, "");
}

// What the listing didn't say, from the file's own headers.
void HubFetch::ask_about(HubFile& file, const std::string& path) const {
  WebClient client;
  const WebReply reply = send_patiently(client, limits_, [&] {
    WebRequest request = request_to(path);
    request.method = "HEAD";
    request.stay = true;
    request.headers = {{"Accept-Encoding", "identity"}};
    return request;
  });
  if (reply.status >= 400 || reply.status == 0) throw hub_error(model_, hub_, reply, file.path);
  const bool linked = !reply.header("x-linked-etag").empty();
  std::string etag = reply.header(linked ? "x-linked-etag" : "etag");
  if (etag.starts_with("W/")) etag.erase(0, 2);
  std::erase(etag, '"');
  (etag.size() == 64 ? file.sha256 : file.blob) = etag;
  const std::string& size =
      reply.header(reply.header("x-linked-size").empty() ? "content-length" : "x-linked-size");
  if (!size.empty()) file.size = std::strtoll(size.c_str(), nullptr, 10);
}

SnapshotCache::File HubFetch::file_of(const HubListing& listing, const std::string& path) const {
  const auto found = std::find_if(listing.files.begin(), listing.files.end(),
                                  [&](const HubFile& file) { return file.path == path; });
  if (found == listing.files.end()) {
    throw_error(ErrorKind::kArtifactInvalid,
                "{}: the index names {}, which isn't in the repository", model_.id, path);
  }
  HubFile listed = *found;
  const std::string place =
      fmt::format("/{}/resolve/{}/{}", model_.id, percent_encode(listing.commit, false),
                  percent_encode(path, true));
  if (listed.size < 0 || (listed.sha256.empty() && listed.blob.empty())) {
    ask_about(listed, place);
  }
  SnapshotCache::File file;
  file.path = path;
  file.etag = listed.sha256.empty() ? listed.blob : listed.sha256;
  Download& download = file.download;
  download.name = model_.id + "/" + path;
  download.request = request_to(place);
  download.size = listed.size;
  download.tag = download.expected = file.etag;
  download.digest = file.etag.size() == 64   ? Digest::kSha256
                    : file.etag.size() == 40 ? Digest::kGitBlob
                                             : Digest::kNone;
  download.refuse = [this, path](const WebReply& reply) {
    throw hub_error(model_, hub_, reply, path);
  };
  return file;
}

fs::path HubFetch::fetch(const HubListing& listing) const {
  std::vector<std::string> names;
  for (const HubFile& file : listing.files) names.push_back(file.path);
  const NeededFiles needed = choose_files(names, model_.variant, model_.id);
  const bool weights = model_.parts == ModelParts::kAll;
  const auto get = [&](const std::vector<std::string>& paths) {
    std::vector<SnapshotCache::File> files;
    for (const std::string& path : paths) files.push_back(file_of(listing, path));
    cache_.fetch(listing.commit, std::move(files), limits_, model_.id);
  };
  const fs::path snapshot = cache_.snapshot(listing.commit);
  if (weights && needed.index.empty() && needed.weights.empty()) {
    throw_error(ErrorKind::kNotFound,
                "{}: no weights that can be read: expected .safetensors, pytorch_model.bin or one "
                "GGUF file among its {} files",
                model_.id, names.size());
  }
  std::vector<std::string> first = needed.companions;
  if (weights && !needed.index.empty()) first.push_back(needed.index);
  if (weights) first.insert(first.end(), needed.weights.begin(), needed.weights.end());
  get(first);
  if (weights && !needed.index.empty()) get(shards_of_index(snapshot / needed.index));
  cache_.set_ref(model_.revision, listing.commit);
  return snapshot;
}

fs::path HubFetch::run() {
  if (!is_hub_id(model_.id)) {
    throw_error(ErrorKind::kBadRequest, "{}: expected a model of the hub, as in org/name",
                model_.id);
  }
  if (!is_safe_path(model_.revision)) {
    throw_error(ErrorKind::kBadRequest, "{}: revision \"{}\": expected a branch, tag or commit",
                model_.id, model_.revision);
  }
  const std::optional<fs::path> here = cached();
  if (here && (is_commit(model_.revision) || !hub_.offline.empty())) return *here;
  if (!hub_.offline.empty()) {
    const std::optional<fs::path> part = cache_.find(model_.revision);
    throw_error(ErrorKind::kNotFound,
                "{}: revision {}: {} in the cache {}, and {} forbids a download", model_.id,
                model_.revision,
                part ? "lacks " + missing_of_folder(*part, model_.parts, model_.variant) : "is not",
                hub_.cache.string(), hub_.offline);
  }
  const std::optional<HubListing> listing = list();
  return listing ? fetch(*listing) : *here;
}

// The model that an adapter belongs to, where it is one of the hub.
std::optional<HubModel> base_of_adapter(const fs::path& folder, const HubModel& adapter) {
  const fs::path file = folder / "adapter_config.json";
  if (fs::exists(folder / "config.json") || !fs::exists(file)) return std::nullopt;
  const Json json = read_json_file(file);
  const auto text = [&](const char* key) {
    const auto found = json.is_object() ? json.find(key) : json.end();
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  HubModel base = adapter;
  base.id = text("base_model_name_or_path");
  const std::string revision = text("revision");
  base.revision = revision.empty() ? "main" : revision;
  base.variant.clear();
  if (!is_hub_id(base.id) || fs::is_directory(base.id) || fs::is_directory(folder / base.id) ||
      base.id == adapter.id) {
    return std::nullopt;
  }
  return base;
}

void fetch_base(const fs::path& folder, const HubModel& adapter, const std::string& name,
                const HubSettings& hub, const TransferLimits& limits) {
  const std::optional<HubModel> base = base_of_adapter(folder, adapter);
  if (!base) return;
  spdlog::info("{} is an adapter of {}", name, base->id);
  HubFetch(*base, hub, limits).run();
}

}  // namespace

std::string ca_file_of(const EnvironmentLookup& environment) {
  return first_of(environment,
                  {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"});
}

HubSettings hub_settings(const EnvironmentLookup& environment) {
  HubSettings hub;
  hub.endpoint = environment("HF_ENDPOINT");
  if (hub.endpoint.empty()) hub.endpoint = kDefaultEndpoint;
  while (hub.endpoint.ends_with('/')) hub.endpoint.pop_back();
  fs::path home = expand_path(environment("HF_HOME"), environment);
  if (home.empty()) {
    const std::string cache = environment("XDG_CACHE_HOME");
    home = cache.empty() ? home_of_user(environment) / ".cache" : expand_path(cache, environment);
    home /= "huggingface";
  }
  const std::string cache = first_of(environment, {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"});
  hub.cache = fs::absolute(cache.empty() ? home / "hub" : expand_path(cache, environment));
  read_token(hub, home, environment);
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DJL_OFFLINE"}) {
    if (is_true_text(environment(name))) hub.offline = name;
  }
  hub.ca_file = ca_file_of(environment);
  const std::string timeout = environment("HF_HUB_DOWNLOAD_TIMEOUT");
  const long seconds = std::strtol(timeout.c_str(), nullptr, 10);
  if (seconds > 0) hub.timeout_seconds = seconds;
  return hub;
}

fs::path fetch_hub_model(const HubModel& model, const HubSettings& hub,
                         const TransferLimits& limits) {
  const fs::path folder = HubFetch(model, hub, limits).run();
  fetch_base(folder, model, model.id, hub, limits);
  return folder;
}

void fetch_base_of_adapter(const fs::path& folder, ModelParts parts, const HubSettings& hub,
                           const TransferLimits& limits) {
  HubModel adapter;
  adapter.parts = parts;
  fetch_base(folder, adapter, folder.string(), hub, limits);
}

}  // namespace tensormill
