#pragma once

#include "engine/active_request.h"
#include "kernels/table.h"

namespace tensormill {

// Whether a device can choose the request's next token: see kMaxTop and kMaxBanned.
bool can_choose(const ActiveRequest& request);

// What the request asks of the choice of the token that follows all before, those under way
// included.
SampleRow choice_of(const ActiveRequest& request, int32_t vocabulary);

// For a request that the host chooses for: leaves no trace beyond the end of its history.
SampleRow unused_choice(const ActiveRequest& request);

// Fills the request's `sampled` and `top`.
void take_choice(const SampleResult& result, ActiveRequest& request);

}  // namespace tensormill
