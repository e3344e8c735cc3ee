#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "ops/attention.h"
#include "ops/embed.h"
#include "ops/experts.h"
#include "ops/linear.h"
#include "ops/pack.h"
#include "ops/residual.h"
#include "ops/rope.h"
#include "ops/route.h"
#include "ops/to_cache.h"
#include "tensor/tensor.h"

namespace tensormill {
namespace {

// Arguments of a tiny step that all ops accept; each test breaks one of them.
struct Step {
  static constexpr int kWidth = 8, kHeads = 2, kDim = 4, kRows = 3;
  const KernelTable& kernels = *cpu_kernels("portable");
  int32_t rows = kRows, one = 1;
  std::vector<int32_t> ids = {0, 1, 2}, begin = {0, 3}, table = {0}, sequence = {0, 0, 0};
  std::vector<int32_t> routed = std::vector<int32_t>(16);
  std::vector<float> data = std::vector<float>(256, 0.5f), out = std::vector<float>(256);
  std::vector<float> cache = std::vector<float>(2048), scratch = std::vector<float>(256);
  Packed packed{cache.data(), WeightFormat::kF32, kWidth, kWidth};
  Live live{&rows, kRows};
  KvView kv{cache.data(),
            cache.data() + 1024,
            DType::kF32,
            {kHeads * kBlockTokens * kDim, kBlockTokens* kDim},
            {kHeads * kBlockTokens * kDim, kBlockTokens* kDim},
            table.data(),
            1};

  EmbedArgs embed_args() {
    EmbedArgs args{};
    args.tokens = ids.data();
    args.table = data.data();
    args.type = DType::kF32;
    args.scale = 1;
    args.residual = out.data();
    args.width = kWidth;
    args.live = live;
    return args;
  }
  ResidualArgs residual_args() {
    ResidualArgs args{};
    args.in = {NormKind::kRms, data.data(), nullptr, 1e-5f};
    args.residual = data.data();
    args.carry = args.branch = 1;
    args.y = {out.data(), DType::kF32, kWidth};
    args.width = kWidth;
    args.live = live;
    return args;
  }
  LinearArgs linear_args() {
    LinearArgs args{};
    args.weight = &packed;
    args.in = {out.data(), DType::kF32, kWidth};
    args.out = {out.data() + 128, DType::kF32, kWidth};
    args.live = live;
    return args;
  }
  RopeArgs rope_args() {
    RopeArgs args{};
    args.positions[0] = args.positions[1] = ids.data();
    args.axes = 2;
    args.length = RopeLength::kDynamic;
    args.slots = args.prompts = ids.data();
    args.inv_freq = args.long_inv_freq = data.data();
    args.dim = kDim;
    args.scale = args.factor = 1;
    args.theta = 1e4f;
    args.original_length = 16;
    args.cos_sin = out.data();
    args.live = live;
    return args;
  }
  ToCacheArgs to_cache_args() {
    ToCacheArgs args{};
    args.qkv = {data.data(), DType::kF32, 3 * kHeads * kDim};
    args.heads = args.kv_heads = kHeads;
    args.dim = args.value_dim = kDim;
    args.row_sequence = sequence.data();
    args.slots = ids.data();
    args.q = {out.data(), DType::kF32, kHeads * kDim};
    args.kv = kv;
    args.live = live;
    return args;
  }
  AttentionArgs attention_args() {
    AttentionArgs args{};
    args.q = {data.data(), DType::kF32, kHeads * kDim};
    args.row_begin = begin.data();
    args.keys = &rows;
    args.heads = args.kv_heads = kHeads;
    args.dim = args.value_dim = kDim;
    args.kv = kv;
    args.score.scale = 1;
    args.out = {out.data(), DType::kF32, kHeads * kDim};
    args.scratch = scratch.data();
    args.sequences = {&one, 1};
    args.rows = live;
    return args;
  }
  // Two experts, of which each row takes one.
  RouteArgs route_args() {
    RouteArgs args{};
    args.logits = data.data();
    args.experts = 2;
    args.active = args.groups = args.active_groups = args.group_best = 1;
    args.scale = 1;
    args.routes = {routed.data(), scratch.data(), routed.data() + 4, routed.data() + 8,
                   routed.data() + 12};
    args.live = live;
    return args;
  }
  ExpertsArgs experts_args() {
    ExpertsArgs args{};
    args.first = args.second = packed;
    args.experts = 2;
    args.active = 1;
    args.routes = route_args().routes;
    args.in = {data.data(), DType::kF32, kWidth};
    args.out = out.data();
    args.taken = {out.data() + 32, DType::kF32, kWidth};
    args.inner = {out.data() + 64, DType::kF32, kWidth};
    args.value = out.data() + 96;
    args.live = live;
    return args;
  }
  PackArgs pack_args() {
    return {{data.data(), DType::kF32, false, kWidth, kWidth, nullptr, 0, kWidth},
            cache.data(),
            WeightFormat::kF32,
            kWidth,
            kWidth};
  }
};

// Expects kInternal and `expected` in the message.
void fails(const char* expected, const std::function<void()>& f) {
  try {
    f();
    ADD_FAILURE() << "accepted; expected: " << expected;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInternal);
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

TEST(Ops, AcceptWhatIsWhole) {
  Step s;
  EXPECT_NO_THROW(pack(s.kernels, s.pack_args(), nullptr));
  EXPECT_NO_THROW(embed(s.kernels, s.embed_args(), nullptr));
  EXPECT_NO_THROW(residual(s.kernels, s.residual_args(), nullptr));
  ResidualArgs taken = s.residual_args();
  taken.take = s.ids.data();
  EXPECT_NO_THROW(residual(s.kernels, taken, nullptr));
  EXPECT_NO_THROW(linear(s.kernels, s.linear_args(), nullptr));
  const LinearArgs products[] = {s.linear_args()};
  EXPECT_NO_THROW(norm_linear(s.kernels, s.residual_args(), products, nullptr));
  EXPECT_NO_THROW(rope(s.kernels, s.rope_args(), nullptr));
  EXPECT_NO_THROW(route(s.kernels, s.route_args(), nullptr));
  EXPECT_NO_THROW(experts(s.kernels, s.experts_args(), nullptr));
  EXPECT_NO_THROW(to_cache(s.kernels, s.to_cache_args(), nullptr));
  EXPECT_NO_THROW(attention(s.kernels, s.attention_args(), nullptr));
}

// Changes one argument and expects the op to say so.
template <class Args, class Op, class Change>
void refuses(const char* expected, Args args, Op op, Change change) {
  Step s;
  change(args);
  fails(expected, [&] { op(s.kernels, args, nullptr); });
}

TEST(Ops, EmbedRefuses) {
  Step s;
  const auto bad = [&](const char* expected, auto change) {
    refuses(expected, s.embed_args(), embed, change);
  };
  bad("width", [](EmbedArgs& a) { a.width = 0; });
  bad("f32, bf16 or f16", [](EmbedArgs& a) { a.type = DType::kI8; });
  bad("a table", [](EmbedArgs& a) { a.table = nullptr; });
  bad("positions", [](EmbedArgs& a) { a.position_table[0] = a.table; });
  bad("positions", [&](EmbedArgs& a) {
    a.positions[0] = s.ids.data();
    a.position_table[0] = a.position_table[1] = a.table;
  });
  bad("count", [](EmbedArgs& a) { a.live.count = nullptr; });
}

TEST(Ops, ResidualAndLinearRefuse) {
  Step s;
  const auto bad = [&](const char* expected, auto change) {
    refuses(expected, s.residual_args(), residual, change);
  };
  bad("8 partials", [](ResidualArgs& a) { a.partials = 9; });
  bad("every partial", [](ResidualArgs& a) { a.partials = 1; });
  bad("weight", [](ResidualArgs& a) { a.in.weight = nullptr; });
  bad("stride", [](ResidualArgs& a) { a.y.stride = 7; });
  bad("rows that are taken", [&](ResidualArgs& a) {
    a.take = s.ids.data();
    a.keep_y = true;
  });
  bad("rows that are taken", [&](ResidualArgs& a) {
    a.take = s.ids.data();
    a.y.x = nullptr;
  });
  const auto bad_product = [&](const char* expected, auto change) {
    refuses(expected, s.linear_args(), linear, change);
  };
  bad_product("packed weight", [](LinearArgs& a) { a.weight = nullptr; });
  bad_product("weight's type", [](LinearArgs& a) { a.in.type = DType::kBF16; });
  bad_product("stride", [](LinearArgs& a) { a.out.stride = 7; });
  bad_product("stride", [](LinearArgs& a) { a.in.stride = 7; });
  bad_product("softcap", [](LinearArgs& a) { a.softcap = -1; });
  Packed odd = s.packed;
  odd.outputs = 7;
  bad_product("pairs", [&](LinearArgs& a) {
    a.weight = &odd;
    a.gated = true;
  });
  LinearArgs elsewhere = s.linear_args();
  elsewhere.in.x = s.data.data();
  const LinearArgs products[] = {elsewhere};
  fails("norm's output", [&] { norm_linear(s.kernels, s.residual_args(), products, nullptr); });
}

TEST(Ops, RopeRefuses) {
  Step s;
  const auto bad = [&](const char* expected, auto change) {
    refuses(expected, s.rope_args(), rope, change);
  };
  bad("even dim", [](RopeArgs& a) { a.dim = 3; });
  bad("kMaxHeadDim", [](RopeArgs& a) { a.dim = kMaxHeadDim + 2; });
  bad("axes", [](RopeArgs& a) { a.axes = 3; });
  bad("every axis", [](RopeArgs& a) { a.positions[1] = nullptr; });
  bad("original length", [](RopeArgs& a) { a.original_length = 0; });
  bad("slots, prompts", [](RopeArgs& a) { a.slots = nullptr; });
  bad("slots, prompts", [](RopeArgs& a) { a.prompts = nullptr; });
  bad("dim > 2", [](RopeArgs& a) { a.dim = 2; });
  bad("a factor", [](RopeArgs& a) { a.factor = 0; });
  bad("theta", [](RopeArgs& a) {
    a.length = RopeLength::kPowers;
    a.theta = 0;
  });
  bad("long frequencies", [](RopeArgs& a) {
    a.length = RopeLength::kLong;
    a.long_inv_freq = nullptr;
  });
}

TEST(Ops, CacheAndAttentionRefuse) {
  Step s;
  const auto bad_cache = [&](const char* expected, auto change) {
    refuses(expected, s.to_cache_args(), to_cache, change);
  };
  bad_cache("kMaxHeadDim", [](ToCacheArgs& a) { a.dim = kMaxHeadDim + 1; });
  bad_cache("groups", [](ToCacheArgs& a) { a.kv_heads = 3; });
  bad_cache("rope_dim", [&](ToCacheArgs& a) {
    a.cos_sin = s.data.data();
    a.rope_axes = 1;
    a.rope_dim = 6;
  });
  bad_cache("rope_dim", [&](ToCacheArgs& a) {
    a.cos_sin = s.data.data();
    a.rope_axes = 2;
    a.rope_dim = 4;
  });
  bad_cache("rope_axes", [&](ToCacheArgs& a) {
    a.cos_sin = s.data.data();
    a.rope_dim = 2;
  });
  bad_cache("log_n", [](ToCacheArgs& a) { a.log_n = 1; });
  bad_cache("clip", [](ToCacheArgs& a) { a.clip = -1; });
  bad_cache("value_dim", [](ToCacheArgs& a) { a.value_dim = 0; });
  bad_cache("rows of",
            [](ToCacheArgs& a) { a.value_dim = Step::kDim + 1, a.kv.v_stride.head *= 2; });
  bad_cache("slots", [](ToCacheArgs& a) { a.slots = nullptr; });
  bad_cache("block table", [](ToCacheArgs& a) { a.kv.table = nullptr; });
  bad_cache("rows of", [](ToCacheArgs& a) { a.qkv.stride = 5; });
  const auto bad = [&](const char* expected, auto change) {
    refuses(expected, s.attention_args(), attention, change);
  };
  bad("scratch", [](AttentionArgs& a) { a.scratch = nullptr; });
  bad("f32, bf16 or f16", [](AttentionArgs& a) { a.kv.type = DType::kI32; });
  bad("k_stride.head", [](AttentionArgs& a) { a.kv.k_stride.head = 5; });
  bad("v_stride.head", [](AttentionArgs& a) { a.kv.v_stride.head = 5; });
  bad("value_dim", [](AttentionArgs& a) { a.value_dim = kMaxHeadDim + 1; });
  bad("bias_scale", [&](AttentionArgs& a) { a.score.slopes = s.data.data(); });
  bad("stride", [](AttentionArgs& a) { a.out.stride = 7; });
  bad("window", [](AttentionArgs& a) { a.score.window = -1; });
}

TEST(Ops, RouteChecksItsCounts) {
  Step s;
  const auto bad = [&](const char* expected, const std::function<void(RouteArgs&)>& change) {
    RouteArgs args = s.route_args();
    change(args);
    fails(expected, [&] { route(s.kernels, args, nullptr); });
  };
  bad("logits", [](RouteArgs& a) { a.logits = nullptr; });
  bad("a row takes some", [](RouteArgs& a) { a.active = 3; });
  bad("a row takes some", [](RouteArgs& a) { a.experts = kMaxExperts + 1; });
  bad("routes", [](RouteArgs& a) { a.routes.begin = nullptr; });
  bad("equal groups", [](RouteArgs& a) { a.groups = 3; });
  bad("active_groups", [](RouteArgs& a) { a.active_groups = 2; });
  bad("group_best", [](RouteArgs& a) { a.group_best = 3; });
  bad("enough experts", [](RouteArgs& a) {
    a.groups = a.active = 2;
    a.active_groups = 1;
  });
}

TEST(Ops, ExpertsCheckTheirShapes) {
  Step s;
  const auto bad = [&](const char* expected, const std::function<void(ExpertsArgs&)>& change) {
    ExpertsArgs args = s.experts_args();
    change(args);
    fails(expected, [&] { experts(s.kernels, args, nullptr); });
  };
  bad("packed weights", [](ExpertsArgs& a) { a.second.data = nullptr; });
  bad("one weight format", [](ExpertsArgs& a) { a.second.format = WeightFormat::kBF16; });
  bad("as wide as", [](ExpertsArgs& a) { a.second.outputs = 4; });
  bad("as many first outputs", [](ExpertsArgs& a) { a.gated = true; });
  bad("inputs of the weight's type", [](ExpertsArgs& a) { a.inner.type = DType::kBF16; });
  bad("a stride", [](ExpertsArgs& a) { a.taken.stride = 4; });
  bad("an output and scratch", [](ExpertsArgs& a) { a.value = nullptr; });
}

TEST(Ops, SeveralWeightsHaveNoBias) {
  Step s;
  LinearArgs args = s.linear_args();
  args.copies = 2;
  args.bias = s.data.data();
  fails("no bias or addend", [&] { linear(s.kernels, args, nullptr); });
}

TEST(Ops, PackRefuses) {
  Step s;
  const auto bad = [&](const char* expected, auto change) {
    refuses(expected, s.pack_args(), pack, change);
  };
  bad("inside the packed", [](PackArgs& a) { a.source.first_row = 1; });
  bad("inside the source", [](PackArgs& a) { a.source.outputs = 7; });
  bad("same inner", [](PackArgs& a) { a.source.inner = 7; });
  std::vector<int32_t> map = {0, 1, 2, 3, 4, 5, 6, 8};
  bad("row_map", [&](PackArgs& a) { a.source.row_map = map.data(); });
}

}  // namespace
}  // namespace tensormill
