#include "artifacts/unpickler.h"

#include <cstring>
#include <unordered_map>

#include "artifacts/torch_rebuild.h"
#include "base/error.h"

namespace tensormill {
namespace {

using Kind = Pickle::Kind;
using Ref = Pickle::Ref;
using Value = Pickle::Value;

// 100,000 tensors take about 2.5 million values.
constexpr size_t kMaxValues = size_t{1} << 22, kMaxStack = size_t{1} << 22;
constexpr size_t kMaxItems = size_t{1} << 24;  // of all containers together
constexpr size_t kMaxName = 256;               // of a module or a global in it

enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNoneOp = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobalOp = 'c',
  kDictOp = 'd',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kListOp = 'l',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTupleOp = 't',
  kSetItems = 'u',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kEmptyTuple = ')',
  kEmptyList = ']',
  kEmptyDict = '}',
  kProto = 0x80,
  kNewObj = 0x81,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, const std::string& origin)
      : bytes_(bytes), origin_(origin) {}

  Pickle run() {
    for (;;) {
      op_at_ = at_;
      const auto op = take<uint8_t>();
      if (op == kStop) {
        pickle_.root = pop();
        return std::move(pickle_);
      }
      if (!scalar(op) && !container(op) && !object(op) && !bookkeeping(op)) {
        fail(
            fmt::format("opcode 0x{:02x} is not one of protocols 2 to 5 as torch.save writes "
                        "them",
                        op));
      }
    }
  }
  size_t used() const { return at_; }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw_error(ErrorKind::kArtifactInvalid, "{}: pickle, byte {}: {}", origin_, op_at_, what);
  }

  // ---- input
  const char* take_bytes(uint64_t count) {
    if (count > bytes_.size() - at_) {
      fail(fmt::format("needs {} bytes, {} are left", count, bytes_.size() - at_));
    }
    const auto* data = reinterpret_cast<const char*>(bytes_.data()) + at_;
    at_ += count;
    return data;
  }
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof value), sizeof value);
    return value;
  }
  std::string take_line() {
    const void* data = bytes_.data() + at_;
    const void* end = std::memchr(data, '\n', bytes_.size() - at_);
    if (end == nullptr) fail("a name without its end of line");
    const auto size =
        static_cast<size_t>(static_cast<const char*>(end) - static_cast<const char*>(data));
    if (size > kMaxName)
      fail(fmt::format("a name of {} bytes, expected at most {}", size, kMaxName));
    std::string line(static_cast<const char*>(data), size);
    at_ += size + 1;
    return line;
  }

  // ---- values and stack
  void push_ref(Ref ref) {
    if (stack_.size() >= kMaxStack) fail(fmt::format("stack of more than {} values", kMaxStack));
    stack_.push_back(ref);
  }
  Ref add(Value value) {
    if (pickle_.values.size() >= kMaxValues) fail(fmt::format("more than {} values", kMaxValues));
    items_ += value.items.size();
    if (items_ > kMaxItems) fail(fmt::format("more than {} items in containers", kMaxItems));
    pickle_.values.push_back(std::move(value));
    return static_cast<Ref>(pickle_.values.size() - 1);
  }
  void push(Value value) { push_ref(add(std::move(value))); }
  void push(Kind kind, int64_t number = 0) {
    Value value;
    value.kind = kind;
    value.number = number;
    push(std::move(value));
  }
  void push_text(Kind kind, std::string text) {
    Value value;
    value.kind = kind;
    value.text = std::move(text);
    push(std::move(value));
  }
  void push_container(Kind kind, std::vector<Ref> items) {
    Value value;
    value.kind = kind;
    for (const Ref ref : items) value.carries_data |= pickle_.at(ref).carries_data;
    value.items = std::move(items);
    push(std::move(value));
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  Ref pop() {
    if (stack_.size() <= floor()) fail("takes a value from an empty stack");
    const Ref ref = stack_.back();
    stack_.pop_back();
    return ref;
  }
  Value& top() {
    if (stack_.size() <= floor()) fail("looks at an empty stack");
    return pickle_.values[stack_.back()];
  }
  std::vector<Ref> pop_count(size_t count) {
    std::vector<Ref> items(count);
    while (count > 0) items[--count] = pop();
    return items;
  }
  std::vector<Ref> pop_to_mark() {
    if (marks_.empty()) fail("no mark on the stack");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Ref> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  // Adds to the container on top; an inert record only remembers that data went into it.
  void extend(const std::vector<Ref>& items, Kind expected) {
    Value& target = top();
    if (target.kind != expected && target.kind != Kind::kInert) {
      fail("adds items to what is no container of their kind");
    }
    for (const Ref ref : items) target.carries_data |= pickle_.at(ref).carries_data;
    if (target.kind == expected) {
      target.items.insert(target.items.end(), items.begin(), items.end());
    }
  }
  void extend_dict(const std::vector<Ref>& items) {
    if (items.size() % 2 != 0) fail("a dictionary key without a value");
    extend(items, Kind::kDict);
  }

  // ---- opcodes, by kind; false: not one of them
  void push_long(uint64_t count) {
    const char* data = take_bytes(count);
    uint64_t number = 0;
    if (count > sizeof number) return push_text(Kind::kInert, "an integer beyond 64 bits");
    std::memcpy(&number, data, count);
    if (count > 0 && count < sizeof number && (data[count - 1] & 0x80) != 0) {
      number |= ~uint64_t{0} << (8 * count);
    }
    push(Kind::kInt, static_cast<int64_t>(number));
  }
  void push_string(uint64_t count) {
    const char* data = take_bytes(count);
    push_text(Kind::kString, std::string(data, count));
  }
  void push_bytes(uint64_t count) {
    take_bytes(count);
    push(Kind::kBytes);
  }

  bool scalar(uint8_t op) {
    switch (op) {
      case kNoneOp:
        return push(Kind::kNone), true;
      case kNewTrue:
        return push(Kind::kBool, 1), true;
      case kNewFalse:
        return push(Kind::kBool, 0), true;
      case kBinInt:
        return push(Kind::kInt, take<int32_t>()), true;
      case kBinInt1:
        return push(Kind::kInt, take<uint8_t>()), true;
      case kBinInt2:
        return push(Kind::kInt, take<uint16_t>()), true;
      case kLong1:
        return push_long(take<uint8_t>()), true;
      case kLong4:
        return push_long(take<uint32_t>()), true;
      case kBinFloat:
        return push(Kind::kFloat, static_cast<int64_t>(__builtin_bswap64(take<uint64_t>()))), true;
      case kBinUnicode:
      case kBinString:
        return push_string(take<uint32_t>()), true;
      case kShortBinUnicode:
      case kShortBinString:
        return push_string(take<uint8_t>()), true;
      case kBinUnicode8:
        return push_string(take<uint64_t>()), true;
      case kBinBytes:
        return push_bytes(take<uint32_t>()), true;
      case kShortBinBytes:
        return push_bytes(take<uint8_t>()), true;
      case kBinBytes8:
      case kByteArray8:
        return push_bytes(take<uint64_t>()), true;
      default:
        return false;
    }
  }

  bool container(uint8_t op) {
    switch (op) {
      case kEmptyTuple:
        return push(Kind::kTuple), true;
      case kEmptyList:
      case kEmptySet:
        return push(Kind::kList), true;
      case kEmptyDict:
        return push(Kind::kDict), true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        return push_container(Kind::kTuple, pop_count(size_t{op} - kTuple1 + 1)), true;
      case kTupleOp:
        return push_container(Kind::kTuple, pop_to_mark()), true;
      case kListOp:
      case kFrozenSet:
        return push_container(Kind::kList, pop_to_mark()), true;
      case kDictOp: {
        const std::vector<Ref> items = pop_to_mark();
        push(Kind::kDict);
        return extend_dict(items), true;
      }
      case kAppend:
        return extend({pop()}, Kind::kList), true;
      case kAppends:
      case kAddItems:
        return extend(pop_to_mark(), Kind::kList), true;
      case kSetItem:
        return extend_dict(pop_count(2)), true;
      case kSetItems:
        return extend_dict(pop_to_mark()), true;
      default:
        return false;
    }
  }

  bool object(uint8_t op) {
    switch (op) {
      case kGlobalOp: {
        std::string name = take_line();
        name += ' ';
        name += take_line();
        return push_text(Kind::kGlobal, std::move(name)), true;
      }
      case kStackGlobal: {
        const std::vector<Ref> names = pop_count(2);
        return push_text(Kind::kGlobal, pickle_.at(names[0]).text.substr(0, kMaxName) + ' ' +
                                            pickle_.at(names[1]).text.substr(0, kMaxName)),
               true;
      }
      case kReduce:
      case kNewObj: {
        const std::vector<Ref> call = pop_count(2);
        return push(torch_call(pickle_, pickle_.at(call[0]), pickle_.at(call[1]))), true;
      }
      case kNewObjEx: {
        const std::vector<Ref> call = pop_count(3);
        Value value;
        value.kind = Kind::kInert;
        value.text = pickle_.at(call[0]).text;
        value.carries_data = pickle_.at(call[1]).carries_data || pickle_.at(call[2]).carries_data;
        return push(std::move(value)), true;
      }
      case kBuild: {
        // An object's attributes: nothing that a tensor's elements follow from.
        const Ref state = pop();
        if (top().kind == Kind::kInert) {
          top().carries_data |= pickle_.at(state).carries_data;
          top().items.assign(1, state);
        }
        return true;
      }
      case kBinPersId: {
        return push(torch_persistent(pickle_, pickle_.at(pop()))), true;
      }
      default:
        return false;
    }
  }

  void get(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) fail(fmt::format("memo {} was never set", index));
    push_ref(found->second);
  }
  void put(uint32_t index) {
    top();
    memo_[index] = stack_.back();
  }

  bool bookkeeping(uint8_t op) {
    switch (op) {
      case kProto: {
        const int version = take<uint8_t>();
        if (version < 2 || version > 5) {
          fail(fmt::format("protocol {}, expected 2 to 5", version));
        }
        return true;
      }
      case kFrame:
        take_bytes(8);
        return true;
      case kMark:
        if (marks_.size() >= kMaxStack) fail(fmt::format("more than {} marks", kMaxStack));
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        // Python pops a mark where the stack above it is empty.
        if (!marks_.empty() && stack_.size() == marks_.back()) return marks_.pop_back(), true;
        return pop(), true;
      case kPopMark:
        return pop_to_mark(), true;
      case kDup:
        top();
        return push_ref(stack_.back()), true;
      case kMemoize:
        return put(static_cast<uint32_t>(memo_.size())), true;
      case kBinPut:
        return put(take<uint8_t>()), true;
      case kLongBinPut:
        return put(take<uint32_t>()), true;
      case kBinGet:
        return get(take<uint8_t>()), true;
      case kLongBinGet:
        return get(take<uint32_t>()), true;
      default:
        return false;
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& origin_;
  size_t at_ = 0, op_at_ = 0, items_ = 0;
  Pickle pickle_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, Ref> memo_;
};

}  // namespace

Pickle unpickle(std::span<const std::byte> bytes, const std::string& origin, size_t* used) {
  Unpickler unpickler(bytes, origin);
  Pickle pickle = unpickler.run();
  if (used != nullptr) *used = unpickler.used();
  return pickle;
}

}  // namespace tensormill
