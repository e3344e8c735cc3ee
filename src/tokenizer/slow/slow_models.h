#pragma once

#include "tokenizer/slow/slow_tokenizer.h"

namespace tensormill {

// One function for each slow class; files are read from the folder. Errors: kNotFound,
// kArtifactInvalid and kUnsupported naming file, line, key or option.
std::unique_ptr<Tokenizer> make_baichuan(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_bartpho(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_bert_generation(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_bert_japanese(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_biogpt(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_blenderbot_small(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_byt5(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_canine(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_chatglm(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_chatglm4(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_ctrl(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_esm(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_flaubert(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_fsmt(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_gpt_neox_japanese(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_gpt_sw3(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_internlm(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_m2m100(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_marian(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_perceiver(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_phobert(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_plbart(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_prophetnet(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_qwen(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_speecht5(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_xlm(const SlowFolder& folder);
std::unique_ptr<Tokenizer> make_xlm_prophetnet(const SlowFolder& folder);

}  // namespace tensormill
