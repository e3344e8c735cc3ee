#include "config/table.h"

namespace tensormill {
namespace {

constexpr auto kModel = SettingScope::kModel;
constexpr auto kText = SettingType::kText;
constexpr auto kInteger = SettingType::kInteger;
constexpr auto kNumber = SettingType::kNumber;
constexpr auto kFlag = SettingType::kFlag;
constexpr auto kChoice = SettingType::kChoice;
constexpr auto kActs = SettingEffect::kActs;
constexpr auto kNoEffect = SettingEffect::kNoEffect;
constexpr auto kRefused = SettingEffect::kRefused;

constexpr std::string_view kOneCopy =
    "one copy of a model uses all cores; several copies aren't built yet";
constexpr std::string_view kNoSmoothQuant = "SmoothQuant isn't built yet";
constexpr std::string_view kNoPartition =
    "partitioned checkpoints aren't built yet; give the original Hugging Face folder";
constexpr std::string_view kNoMetrics = "metrics of single requests aren't built yet";
constexpr std::string_view kOtherEngines = "only other engines read it";
constexpr std::string_view kNoPython = "there is no Python process";
constexpr std::string_view kNoRanks = "everything runs in one process";
constexpr std::string_view kNoDraft = "drafts belong to other engines";

// Keys of serving.properties; OPTION_<NAME> in the environment for option.<name>.
constexpr Setting kRows[] = {
    {"engine", kModel, kChoice, "", "DeepSpeed|MPI|Python", kActs,
     "any of them: dynamic mode unless option.rolling_batch is set; none: rolling mode"},
    {"job_queue_size", kModel, kInteger, "1000", "1..", kActs, "requests that may wait"},
    {"batch_size", kModel, kInteger, "1", "1..", kActs,
     "requests of one dynamic batch; more than 1 turns rolling mode auto off"},
    {"max_dynamic_batch_size", kModel, kInteger, "1", "1..", kActs,
     "another name of batch_size, which wins"},
    {"max_batch_delay", kModel, kInteger, "100", "0..", kActs,
     "milliseconds to wait for a full dynamic batch"},
    {"max_idle_time", kModel, kInteger, "60", "0..", kNoEffect,
     "workers aren't started and stopped with the load; GET /models/{name} shows the value"},
    {"load_on_devices", kModel, kText, "*", "*, cpu, -1, gpuN or N", kActs,
     "the device to load the model on; *: what option.device says"},
    {"minWorkers", kModel, kInteger, "1", "1..", kRefused, kOneCopy},
    {"maxWorkers", kModel, kInteger, "1", "1..", kRefused, kOneCopy},
    {"cpu.minWorkers", kModel, kInteger, "1", "1..", kRefused, kOneCopy},
    {"cpu.maxWorkers", kModel, kInteger, "1", "1..", kRefused, kOneCopy},
    {"gpu.minWorkers", kModel, kInteger, "1", "1..", kRefused, kOneCopy},
    {"gpu.maxWorkers", kModel, kInteger, "1", "1..", kRefused, kOneCopy},
    {"required_memory_mb", kModel, kInteger, "0", "0..", kActs,
     "MiB that the model needs; loading fails if that and reserved_memory_mb aren't free where "
     "it is loaded"},
    {"reserved_memory_mb", kModel, kInteger, "500", "0..", kActs,
     "MiB that must stay free beside required_memory_mb"},
    {"gpu.required_memory_mb", kModel, kInteger, "0", "0..", kActs,
     "required_memory_mb where the model is loaded on a GPU"},
    {"gpu.reserved_memory_mb", kModel, kInteger, "0", "0..", kActs,
     "reserved_memory_mb where the model is loaded on a GPU"},
    {"log_request_metric", kModel, kFlag, "false", "", kRefused, kNoMetrics},
    {"metrics_aggregation", kModel, kInteger, "1000", "1..", kRefused, kNoMetrics},
    {"retry_threshold", kModel, kInteger, "10", "0..", kActs,
     "a model of which more steps than this fail in a row has failed"},
    {"translator", kModel, kText, "", "", kNoEffect, kOtherEngines},
    {"translatorFactory", kModel, kText, "", "", kNoEffect, kOtherEngines},
    {"application", kModel, kText, "", "", kNoEffect, kOtherEngines},
    {"blockFactory", kModel, kText, "", "", kNoEffect, kOtherEngines},
    {"includeTokenTypes", kModel, kText, "", "", kNoEffect, kOtherEngines},
    {"trtllm_python_backend", kModel, kText, "", "", kNoEffect, kOtherEngines},

    {"option.model_id", kModel, kText, "", "a folder, an archive, org/name or s3://bucket/prefix",
     kActs, "where config.json and weights come from; default: the model's own folder"},
    {"option.model_dir", kModel, kText, "", "as option.model_id", kActs,
     "another name of option.model_id, which wins"},
    {"option.s3url", kModel, kText, "", "s3://bucket/prefix", kActs,
     "an older name of option.model_id, which wins"},
    {"option.entryPoint", kModel, kText, "", "djl_python.deepspeed or djl_python.huggingface",
     kActs, "handlers of the original that this program stands in for"},
    {"option.rolling_batch", kModel, kChoice, "", "auto|deepspeed|disable", kActs,
     "auto or deepspeed: rolling mode; disable: dynamic mode"},
    {"option.max_rolling_batch_size", kModel, kInteger, "32", "1..", kActs,
     "sequences that run at the same time"},
    {"option.max_rolling_batch_prefill_tokens", kModel, kInteger, "512", "1..", kActs,
     "tokens of one step: decoding sequences first, then parts of prompts"},
    {"option.tensor_parallel_degree", kModel, kInteger, "1", "1.. or max", kActs,
     "ranks that share the model; on the CPU max is 1, and more isn't built yet"},
    {"option.predict_timeout", kModel, kInteger, "120", "1..", kActs,
     "seconds that a request may wait for a place or a step; limit of the drain at shutdown"},
    {"option.model_loading_timeout", kModel, kInteger, "240", "1..", kActs,
     "seconds that loading may take"},
    {"option.task", kModel, kText, "", "text-generation", kActs,
     "what the model does; default: from the architecture in config.json"},
    {"option.dtype", kModel, kChoice, "", "fp32|fp16|bf16|int8", kActs,
     "type of the weights; default: as stored"},
    {"option.variant", kModel, kText, "", "fp16, bf16, ...", kActs,
     "weights of this variant: fp16 takes model.fp16.safetensors; default: the plain ones"},
    {"option.max_tokens", kModel, kInteger, "1024", "1..", kActs,
     "tokens of one sequence, prompt and output together"},
    {"option.enable_streaming", kModel, kChoice, "false", "false|true|huggingface", kActs,
     "dynamic mode: replies are streamed as JSON lines"},
    {"option.batch_size", kModel, kInteger, "1", "1..", kActs,
     "only forbids option.enable_streaming when more than 1; the size itself is batch_size"},
    {"option.output_formatter", kModel, kChoice, "", "json|jsonlines|json_chat|jsonlines_chat|none",
     kActs, "rolling mode: shape of the replies; default: by the request's stream"},
    {"option.deepspeed_config_path", kModel, kText, "", "a JSON file", kActs,
     "replaces option.dtype, max_tokens, tensor_parallel_degree and the other DeepSpeed keys"},
    {"option.enable_cuda_graph", kModel, kFlag, "true", "true|false", kActs,
     "GPU: steps that decode, and those with short prompts whose size comes often, are recorded as "
     "graphs and replayed"},
    {"option.quantize", kModel, kChoice, "", "smoothquant|dynamic_int8", kActs,
     "dynamic_int8: on CPUs products run in 8 bits, their inputs quantized as they come; "
     "smoothquant isn't built yet"},
    {"option.smoothquant_alpha", kModel, kNumber, "", "0..1", kRefused, kNoSmoothQuant},
    {"option.checkpoint", kModel, kText, "", "", kRefused, kNoPartition},
    {"option.save_mp_checkpoint_path", kModel, kText, "", "", kRefused, kNoPartition},
    {"option.log_request_metric", kModel, kFlag, "false", "true|false", kRefused, kNoMetrics},
    {"option.low_cpu_mem_usage", kModel, kFlag, "true", "true|false", kNoEffect,
     "weights are mapped, never loaded twice"},
    {"option.triangular_masking", kModel, kFlag, "true", "true|false", kNoEffect,
     "the mask follows from the architecture"},
    {"option.return_tuple", kModel, kFlag, "true", "true|false", kNoEffect,
     "nothing inside returns tuples"},
    {"option.training_mp_size", kModel, kInteger, "1", "1..", kNoEffect,
     "weights in a Hugging Face folder are whole"},
    {"option.trust_remote_code", kModel, kFlag, "false", "true|false", kNoEffect,
     "code that comes with a model is never run; an unknown architecture is an error"},
    {"option.revision", kModel, kText, "", "a branch, tag or commit", kActs,
     "which version of a model of the hub; default: main"},
    {"option.waiting_steps", kModel, kInteger, "0", "0..", kNoEffect,
     "new requests join at the next step"},
    {"option.modelName", kModel, kText, "", "", kNoEffect, "files are found by their format"},
    {"option.handler", kModel, kText, "handle", "", kNoEffect, kNoPython},
    {"option.mpi_mode", kModel, kFlag, "true", "true|false", kNoEffect, kNoRanks},
    {"option.device_id", kModel, kText, "", "", kNoEffect, kNoRanks},
    {"option.parallel_loading", kModel, kFlag, "false", "true|false", kNoEffect, kNoRanks},
    {"option.env", kModel, kText, "", "", kNoEffect, kNoPython},
    {"option.pythonExecutable", kModel, kText, "", "", kNoEffect, kNoPython},
    {"option.enable_venv", kModel, kFlag, "false", "true|false", kNoEffect, kNoPython},
    {"option.speculative_draft_model", kModel, kText, "", "", kNoEffect, kNoDraft},
    {"option.draft_model_id", kModel, kText, "", "", kNoEffect, kNoDraft},
    {"option.spec_length", kModel, kInteger, "0", "0..", kNoEffect, kNoDraft},

    // Our own.
    {"option.device", kModel, kText, "auto", "auto, cpu, cuda or cuda:N", kActs,
     "where the model runs; auto: the first GPU, without one the CPU"},
    {"option.gpu_memory_utilization", kModel, kNumber, "0.9", "0.05..1", kActs,
     "share of a GPU's memory that weights, activations and KV cache may take"},
    {"option.threads", kModel, kInteger, "0", "0..4096", kActs,
     "CPU threads; 0: the physical cores that this process may use"},
    {"option.cpu_level", kModel, kChoice, "auto",
     "auto|portable|avx2|avx2_vnni|avx512|avx512_vnni|avx512_bf16|avx512_amx", kActs,
     "instruction set of the CPU kernels, for tests"},
    {"option.random_weights", kModel, kFlag, "false", "true|false", kActs,
     "weights of the right shapes are made up: only config.json is needed"},
    {"option.kv_cache_mb", kModel, kInteger, "0", "0..", kActs,
     "MiB for keys and values; 0: from the memory that is free"},
    {"option.kv_cache_dtype", kModel, kChoice, "auto", "auto|bf16|f16|f32|int8", kActs,
     "type of keys and values; auto: the weights'; int8 is for CPUs; also bfloat16, float16, fp16, "
     "half, float32, fp32 and float"},
    {"option.inter_token_target_ms", kModel, kInteger, "200", "0..", kActs,
     "CPU: milliseconds that a sequence should wait for its next token at most while prompts of "
     "others are computed: they are cut into chunks that take as long, at most "
     "option.max_rolling_batch_prefill_tokens; 0: chunks of that size"},
    {"option.prefix_sharing", kModel, kFlag, "true", "true|false", kActs,
     "sequences with the same beginning share its keys and values"},
    {"option.error_status", kModel, kFlag, "false", "true|false", kActs,
     "rolling mode: errors before the first byte have status 424 instead of 200"},
};

}  // namespace

std::span<const Setting> model_setting_rows() {
  return kRows;
}

}  // namespace tensormill
