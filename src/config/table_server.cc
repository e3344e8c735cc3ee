#include "config/table.h"

namespace tensormill {
namespace {

constexpr auto kServer = SettingScope::kServer;
constexpr auto kText = SettingType::kText;
constexpr auto kInteger = SettingType::kInteger;
constexpr auto kFlag = SettingType::kFlag;
constexpr auto kActs = SettingEffect::kActs;
constexpr auto kNoEffect = SettingEffect::kNoEffect;
constexpr auto kRefused = SettingEffect::kRefused;

constexpr std::string_view kNoTls = "TLS isn't built in; put a proxy that ends it in front";
constexpr std::string_view kNoCache = "results aren't cached";
constexpr std::string_view kNoJvm = "there is no Java virtual machine";
constexpr std::string_view kNoPython = "there is no Python process";
constexpr std::string_view kNoOtherEngine = "there is no other engine";

// Keys of config.properties; SERVING_<KEY> in the environment.
constexpr Setting kRows[] = {
    {"inference_address", kServer, kText, "http://127.0.0.1:8080",
     "http://host[:port] or unix:/path", kActs,
     "where the inference API listens; --host and --port change it"},
    {"management_address", kServer, kText, "http://127.0.0.1:8080",
     "http://host[:port] or unix:/path", kActs,
     "where the management API listens; the same address: one listener serves both"},
    {"model_store", kServer, kText, "", "a folder", kActs, "folder that holds models (-s)"},
    {"load_models", kServer, kText, "", "ALL, NONE or items", kActs,
     "models to load at the start (-m): [name[:version[:engine[:devices]]]=]url, separated by "
     "commas or blanks; with a model_store the default is ALL"},
    {"wait_model_loading", kServer, kFlag, "true", "", kActs,
     "open the port only after all startup models are loaded"},
    {"allow_multi_status", kServer, kFlag, "false", "", kActs,
     "/ping answers 207 instead of 200 while a model is loading"},
    {"job_queue_size", kServer, kInteger, "1000", "1..", kActs,
     "requests that may wait, for each model without a value of its own"},
    {"batch_size", kServer, kInteger, "1", "1..", kActs,
     "requests of one dynamic batch, for each model without a value of its own"},
    {"max_batch_delay", kServer, kInteger, "100", "0..", kActs,
     "milliseconds to wait for a full dynamic batch, for each model without a value of its own"},
    {"max_idle_time", kServer, kInteger, "60", "0..", kNoEffect,
     "workers aren't started and stopped with the load; GET /models/{name} shows the value"},
    {"reserved_memory_mb", kServer, kInteger, "500", "0..", kActs,
     "MiB that must stay free when a model with required_memory_mb is loaded"},
    {"load_on_devices", kServer, kText, "*", "*, cpu, -1, gpuN or N", kActs,
     "the device that models without a value of their own are loaded on"},
    {"max_request_size", kServer, kInteger, "67108864", "1..", kActs,
     "bytes of a request's body; a larger one is answered with 413"},
    {"chunked_read_timeout", kServer, kInteger, "60", "1..", kActs,
     "seconds to wait for the first or the next token of a reply"},
    {"number_of_netty_threads", kServer, kInteger, "0", "0..", kNoEffect,
     "the number of I/O threads is chosen by the server"},
    {"use_native_io", kServer, kFlag, "true", "", kNoEffect, kNoJvm},
    {"io_ratio", kServer, kInteger, "50", "1..100", kNoEffect, kNoJvm},
    {"cors_allowed_origin", kServer, kText, "", "", kActs,
     "access-control-allow-origin of every reply, if all three cors_ keys are set"},
    {"cors_allowed_methods", kServer, kText, "", "", kActs,
     "access-control-allow-methods of every reply, if all three cors_ keys are set"},
    {"cors_allowed_headers", kServer, kText, "", "", kActs,
     "access-control-allow-headers of every reply, if all three cors_ keys are set"},
    {"keystore", kServer, kText, "", "", kRefused, kNoTls},
    {"keystore_pass", kServer, kText, "changeit", "", kRefused, kNoTls},
    {"keystore_type", kServer, kText, "PKCS12", "", kRefused, kNoTls},
    {"private_key_file", kServer, kText, "", "", kRefused, kNoTls},
    {"certificate_file", kServer, kText, "", "", kRefused, kNoTls},
    {"model_url_pattern", kServer, kText, "", "", kRefused,
     "models aren't loaded by a predict call; register them with POST /models"},
    {"plugin_folder", kServer, kText, "plugins", "", kNoEffect, kNoJvm},
    {"download_dir", kServer, kText, "", "a folder", kActs,
     "SERVING_DOWNLOAD_DIR only: where models of S3 and unpacked archives go; default: "
     "DJL_CACHE_DIR, else ~/.cache/tensormill"},
    {"min_workers", kServer, kInteger, "1", "1..", kRefused,
     "one copy of a model uses all cores; several copies aren't built yet"},
    {"max_workers", kServer, kInteger, "1", "1..", kRefused,
     "one copy of a model uses all cores; several copies aren't built yet"},
    {"retry_threshold", kServer, kInteger, "10", "0..", kActs,
     "steps that may fail in a row, for each model without a value of its own"},
    {"features", kServer, kText, "", "", kNoEffect, kNoOtherEngine},
    {"prometheus", kServer, kFlag, "false", "", kActs, "GET /server/metrics answers"},
    {"cache_batch", kServer, kInteger, "1", "1..", kRefused,
     "results of calls that are answered later are kept item by item; x-max-items bounds a page"},
    {"cache_multitenant", kServer, kText, "", "", kNoEffect, kNoCache},
    {"memory_cache_capacity", kServer, kText, "", "", kNoEffect, kNoCache},
    {"ddb_cache", kServer, kText, "", "", kNoEffect, kNoCache},
    {"ddb_table_name", kServer, kText, "", "", kNoEffect, kNoCache},
    {"s3_cache*", kServer, kText, "", "", kNoEffect, kNoCache},
    {"opts", kServer, kText, "", "", kNoEffect, kNoJvm},

    // Environment variables with names of their own; a file can't set them.
    {"MODEL_SERVER_HOME", kServer, kText, "", "a folder", kActs,
     "base of the relative paths in files and variables; holds conf/config.properties"},
    {"HF_MODEL_ID", kServer, kText, "", "as option.model_id", kActs,
     "one more model to load at the start"},
    {"HF_TASK", kServer, kText, "", "", kActs, "option.task of the model of HF_MODEL_ID"},
    {"HF_REVISION", kServer, kText, "", "a branch, tag or commit", kActs,
     "option.revision of the model of HF_MODEL_ID"},
    {"HF_TOKEN", kServer, kText, "", "", kActs,
     "shown to the hub for private and gated models; never shown here"},
    {"HF_TOKEN_PATH", kServer, kText, "", "a file", kActs,
     "holds the token where HF_TOKEN is not set; default: token in HF_HOME"},
    {"HF_ENDPOINT", kServer, kText, "", "a url", kActs, "the hub to ask instead of the public one"},
    {"HF_HOME", kServer, kText, "", "a folder", kActs,
     "holds the token and the cache of the hub's models, shared with huggingface_hub; default: "
     "huggingface in XDG_CACHE_HOME or ~/.cache"},
    {"HF_HUB_CACHE", kServer, kText, "", "a folder", kActs,
     "that cache alone; default: hub in HF_HOME"},
    {"HF_HUB_OFFLINE", kServer, kFlag, "false", "", kActs,
     "models of the hub come from its cache only; so does TRANSFORMERS_OFFLINE say"},
    {"TENSOR_PARALLEL_DEGREE", kServer, kText, "", "1 or max", kActs,
     "option.tensor_parallel_degree where a model has none"},
    {"CUDA_VISIBLE_DEVICES", kServer, kText, "", "numbers of GPUs", kActs,
     "the GPUs that the process may use, numbered from 0 in this order; -1: none"},
    {"PREDICT_TIMEOUT", kServer, kInteger, "120", "1..", kActs,
     "option.predict_timeout where a model has none"},
    {"MODEL_LOADING_TIMEOUT", kServer, kInteger, "240", "1..", kActs,
     "option.model_loading_timeout where a model has none"},
    {"DJL_OFFLINE", kServer, kFlag, "false", "", kActs,
     "no network: models come from the caches of this machine only"},
    {"ALLOW_REQUEST_HANDLER_OVERRIDE", kServer, kFlag, "false", "", kNoEffect,
     "there is one handler; a request that names another gets 400"},
    {"SAGEMAKER_MULTI_MODEL", kServer, kFlag, "false", "", kNoEffect,
     "the memory that a model needs isn't estimated; set required_memory_mb"},
    {"DJL_CACHE_DIR", kServer, kText, "", "a folder", kActs, "download_dir where that is not set"},
    {"ENGINE_CACHE_DIR", kServer, kText, "", "", kNoEffect, kNoOtherEngine},
    {"MAX_NETTY_BUFFER_SIZE", kServer, kText, "20971520", "", kNoEffect, kNoJvm},
    {"PYTHON_EXECUTABLE", kServer, kText, "", "", kNoEffect, kNoPython},
    {"PYTHONPATH", kServer, kText, "", "", kNoEffect, kNoPython},
    {"DJL_ENTRY_POINT", kServer, kText, "", "", kNoEffect, kNoPython},
    {"DJL_VENV_DIR", kServer, kText, "", "", kNoEffect, kNoPython},
    {"JAVA_HOME", kServer, kText, "", "", kNoEffect, kNoJvm},
    {"JAVA_OPTS", kServer, kText, "", "", kNoEffect, kNoJvm},
    {"DEFAULT_JVM_OPTS", kServer, kText, "", "", kNoEffect, kNoJvm},
    {"OMP_NUM_THREADS", kServer, kText, "", "", kNoEffect, "option.threads sets the threads"},
    {"NO_OMP_NUM_THREADS", kServer, kText, "", "", kNoEffect, "option.threads sets the threads"},
    {"DJL_DEFAULT_ENGINE", kServer, kText, "", "", kNoEffect, kNoOtherEngine},
    {"PYTORCH_*", kServer, kText, "", "", kNoEffect, kNoOtherEngine},
    {"TF_*", kServer, kText, "", "", kNoEffect, kNoOtherEngine},
    {"MXNET_*", kServer, kText, "", "", kNoEffect, kNoOtherEngine},
    {"TOKENIZERS_CACHE", kServer, kText, "", "", kNoEffect, "a tokenizer comes with its model"},
    {"OPT_OUT_TRACKING", kServer, kText, "", "", kNoEffect, "nothing is ever reported to anyone"},
};

}  // namespace

std::span<const Setting> server_setting_rows() {
  return kRows;
}

}  // namespace tensormill
