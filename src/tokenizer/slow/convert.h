#pragma once

#include "tokenizer/slow/classes.h"

namespace tensormill {

// One function for each converter of the reference; the files of the classes with it are read from
// the folder. Errors: kNotFound and kArtifactInvalid naming file and line or key.
Conversion convert_bert(const SlowFolder& folder);
Conversion convert_funnel(const SlowFolder& folder);
Conversion convert_mpnet(const SlowFolder& folder);
Conversion convert_splinter(const SlowFolder& folder);
Conversion convert_roformer(const SlowFolder& folder);

Conversion convert_blenderbot(const SlowFolder& folder);
Conversion convert_clip(const SlowFolder& folder);
Conversion convert_deberta(const SlowFolder& folder);
Conversion convert_gpt2(const SlowFolder& folder);
Conversion convert_herbert(const SlowFolder& folder);
Conversion convert_openai_gpt(const SlowFolder& folder);
Conversion convert_qwen2(const SlowFolder& folder);
Conversion convert_roberta(const SlowFolder& folder);
Conversion convert_whisper(const SlowFolder& folder);

Conversion convert_albert(const SlowFolder& folder);
Conversion convert_barthez(const SlowFolder& folder);
Conversion convert_big_bird(const SlowFolder& folder);
Conversion convert_camembert(const SlowFolder& folder);
Conversion convert_deberta_v2(const SlowFolder& folder);
Conversion convert_fnet(const SlowFolder& folder);
Conversion convert_gemma(const SlowFolder& folder);
Conversion convert_llama(const SlowFolder& folder);
Conversion convert_mbart(const SlowFolder& folder);
Conversion convert_mbart50(const SlowFolder& folder);
Conversion convert_nllb(const SlowFolder& folder);
Conversion convert_pegasus(const SlowFolder& folder);
Conversion convert_reformer(const SlowFolder& folder);
Conversion convert_rembert(const SlowFolder& folder);
Conversion convert_seamless_m4t(const SlowFolder& folder);
Conversion convert_t5(const SlowFolder& folder);
Conversion convert_udop(const SlowFolder& folder);
Conversion convert_xglm(const SlowFolder& folder);
Conversion convert_xlm_roberta(const SlowFolder& folder);
Conversion convert_xlnet(const SlowFolder& folder);

Conversion convert_tiktoken(const SlowFolder& folder);  // tokenizer.model with base64 and ranks

// Is the file a list of tiktoken's, not a SentencePiece model?
bool is_tiktoken_file(const std::filesystem::path& file);

}  // namespace tensormill
