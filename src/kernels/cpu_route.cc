#include <algorithm>
#include <cmath>

#include "kernels/cpu_kernels.h"

namespace tensormill {
namespace {

constexpr int64_t kRouteRows = 4;

// One row's choice.
class Choice {
 public:
  Choice(const RouteArgs& args, int64_t row)
      : args_(args), logits_(args.logits + row * args.experts) {
    if (args.score == ExpertScore::kSoftmax) {
      softmax();
    } else {
      for (int32_t e = 0; e < args.experts; ++e) score_[e] = 1 / (1 + std::exp(-logits_[e]));
    }
    for (int32_t e = 0; e < args.experts; ++e) {
      rank_[e] = args.bias == nullptr ? score_[e] : score_[e] + args.bias[e];
    }
    std::fill_n(open_, args.experts, args.groups == 1);
    if (args.groups > 1) open_groups();
  }

  void write(int32_t* expert, float* weight) {
    for (int32_t i = 0; i < args_.active; ++i) expert[i] = take_best(0, args_.experts);
    std::sort(expert, expert + args_.active);
    float sum = 0;
    for (int32_t i = 0; i < args_.active; ++i) sum += score_[expert[i]];
    for (int32_t i = 0; i < args_.active; ++i) {
      weight[i] = score_[expert[i]] / (args_.normalize ? sum : 1) * args_.scale;
    }
  }

 private:
  void softmax() {
    const float most = *std::max_element(logits_, logits_ + args_.experts);
    float sum = 0;
    for (int32_t e = 0; e < args_.experts; ++e) sum += score_[e] = std::exp(logits_[e] - most);
    for (int32_t e = 0; e < args_.experts; ++e) score_[e] /= sum;
  }

  // The open expert of [begin, end) with the largest rank, now closed. Whatever the ranks are, NaN
  // too, it is one of them.
  int32_t take_best(int32_t begin, int32_t end) {
    int32_t best = -1;
    for (int32_t e = begin; e < end; ++e) {
      if (open_[e] && (best < 0 || rank_[e] > rank_[best])) best = e;
    }
    open_[best] = false;
    return best;
  }

  void open_groups() {
    const int32_t length = args_.experts / args_.groups;
    float value[kMaxExperts];
    bool taken[kMaxExperts] = {};
    for (int32_t g = 0; g < args_.groups; ++g) {
      const int32_t begin = g * length;
      std::fill_n(open_ + begin, length, true);
      value[g] = 0;
      for (int32_t i = 0; i < args_.group_best; ++i) {
        value[g] += rank_[take_best(begin, begin + length)];
      }
      std::fill_n(open_ + begin, length, false);
    }
    for (int32_t i = 0; i < args_.active_groups; ++i) {
      int32_t best = -1;
      for (int32_t g = 0; g < args_.groups; ++g) {
        if (!taken[g] && (best < 0 || value[g] > value[best])) best = g;
      }
      taken[best] = true;
      std::fill_n(open_ + best * length, length, true);
    }
  }

  const RouteArgs& args_;
  const float* logits_;
  float score_[kMaxExperts], rank_[kMaxExperts];
  bool open_[kMaxExperts];  // may still be taken
};

// Gives every (row, expert) its place: a count of each expert's rows, then rows in order.
void place_rows(const RouteArgs& args) {
  const Routes& routes = args.routes;
  const int32_t pairs = *args.live.count * args.active;
  int32_t next[kMaxExperts];
  std::fill_n(routes.begin, args.experts + 1, 0);
  for (int32_t i = 0; i < pairs; ++i) ++routes.begin[routes.expert[i] + 1];
  for (int32_t e = 0; e < args.experts; ++e) {
    next[e] = routes.begin[e];
    routes.begin[e + 1] += routes.begin[e];
  }
  for (int32_t i = 0; i < pairs; ++i) {
    const int32_t place = next[routes.expert[i]]++;
    routes.place[i] = place;
    routes.row[place] = i / args.active;
  }
}

}  // namespace

void cpu_route(const RouteArgs& args, Stream stream) {
  for_range(stream, *args.live.count, kRouteRows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      Choice(args, row).write(args.routes.expert + row * args.active,
                              args.routes.weight + row * args.active);
    }
  });
  place_rows(args);
}

}  // namespace tensormill
