#include "proto/gdb/stop_reply.h"

#include <algorithm>
#include <optional>

#include "proto/gdb/hex.h"

namespace longwire::gdb {
namespace {

constexpr std::size_t kMaxThreads = 4096;
constexpr std::size_t kMaxFeatures = 256;

Error Malformed(const char* what) { return Error{Errc::kMalformed, std::string("the stub sent ") + what}; }

Result<void> ReadPairs(std::string_view text, StopReply& reply) {
  while (!text.empty()) {
    std::string_view pair = TakeField(text, ';');
    const std::string_view key = TakeField(pair, ':');
    if (key == "thread") {
      if (!IsThreadId(pair)) return Malformed("a stop of a thread without a name");
      reply.thread = pair;
      continue;
    }
    const auto watch = key == "watch"    ? StopReply::Watch::kWrite
                       : key == "rwatch" ? StopReply::Watch::kRead
                       : key == "awatch" ? StopReply::Watch::kAccess
                                         : StopReply::Watch::kNone;
    if (watch == StopReply::Watch::kNone) continue;  // registers and reasons that add nothing
    const auto address = DecodeNumber(pair);
    if (!address) return Malformed("a watchpoint hit without an address");
    reply.watch = watch;
    reply.watch_address = *address;
  }
  return {};
}

}  // namespace

bool IsThreadId(std::string_view text) {
  if (text.starts_with('p')) {
    text.remove_prefix(1);
    if (text.find('.') == std::string_view::npos || !DecodeNumber(TakeField(text, '.'))) return false;
  }
  return DecodeNumber(text).has_value();
}

bool IsSameThread(std::string_view one, std::string_view other) {
  if (!IsThreadId(one) || !IsThreadId(other)) return false;
  const bool both = one.front() == 'p' && other.front() == 'p';
  std::optional<std::uint64_t> processes[2], threads[2];
  std::string_view ids[2] = {one, other};
  for (std::size_t i = 0; i < 2; ++i) {
    if (ids[i].front() == 'p') processes[i] = DecodeNumber(TakeField(ids[i], '.').substr(1));
    threads[i] = DecodeNumber(ids[i]);
  }
  return threads[0] == threads[1] && (!both || processes[0] == processes[1]);
}

Result<StopReply> DecodeStopReply(std::string_view payload) {
  StopReply reply;
  const char kind = payload.empty() ? '\0' : payload.front();
  if (kind == 'O') {
    const auto text = DecodeHex(payload.substr(1));
    if (!text) return Malformed("output that is not hexadecimal");
    reply.kind = StopReply::Kind::kOutput;
    reply.output = ToText(*text);
    return reply;
  }
  if (kind != 'S' && kind != 'T' && kind != 'W' && kind != 'X') return Malformed("no stop reply");
  const auto signal = payload.size() < 3 ? std::nullopt : DecodeNumber(payload.substr(1, 2));
  if (!signal) return Malformed("a stop without a signal number");
  reply.signal = static_cast<std::uint8_t>(*signal);
  if (kind == 'W' || kind == 'X') reply.kind = StopReply::Kind::kExited;
  if (kind == 'T') {
    if (auto read = ReadPairs(payload.substr(3), reply); !read) return read.error();
  }
  return reply;
}

Result<std::vector<std::string>> DecodeThreads(std::string_view payload) {
  std::vector<std::string> threads;
  if (payload == "l") return threads;
  if (!payload.starts_with('m')) return Malformed("no thread list");
  payload.remove_prefix(1);
  while (!payload.empty()) {
    const std::string_view id = TakeField(payload, ',');
    if (!IsThreadId(id)) return Malformed("a thread without a name");
    if (threads.size() == kMaxThreads) return Malformed("too many threads");
    threads.emplace_back(id);
  }
  return threads;
}

std::vector<Feature> DecodeFeatures(std::string_view payload) {
  std::vector<Feature> features;
  while (!payload.empty() && features.size() < kMaxFeatures) {
    std::string_view word = TakeField(payload, ';');
    if (word.empty()) continue;
    Feature feature;
    if (word.find('=') != std::string_view::npos) {
      feature.name = TakeField(word, '=');
      feature.value = word;
      feature.supported = true;
    } else {
      feature.supported = word.back() == '+';
      if (word.back() == '+' || word.back() == '-' || word.back() == '?') word.remove_suffix(1);
      feature.name = word;
    }
    features.push_back(std::move(feature));
  }
  return features;
}

}  // namespace longwire::gdb
