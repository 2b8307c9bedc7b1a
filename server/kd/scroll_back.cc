#include "server/kd/scroll_back.h"

#include <algorithm>

namespace longwire {
namespace {

constexpr std::size_t kPieceBytes = 64u << 10;
/// Prints of one processor within this time share a piece, so that the ring is not made of characters.
constexpr std::chrono::milliseconds kTogether{100};

}  // namespace

void ScrollBack::Append(TimePoint now, const rpc::Output& output) {
  std::string_view text = output.text;
  if (text.size() > capacity_) {
    dropped_ += text.size() - capacity_;
    text.remove_prefix(text.size() - capacity_);
  }
  while (!text.empty()) {
    const bool joins = !pieces_.empty() && pieces_.back().processor == output.processor &&
                       now - pieces_.back().when < kTogether && pieces_.back().text.size() < kPieceBytes;
    if (!joins) pieces_.push_back({now, output.processor, {}});
    std::string& piece = pieces_.back().text;
    const std::size_t part = std::min(text.size(), kPieceBytes - piece.size());
    piece.append(text.substr(0, part));
    text.remove_prefix(part);
    size_ += part;
  }
  while (size_ > capacity_) {
    std::string& oldest = pieces_.front().text;
    const std::size_t part = std::min(oldest.size(), size_ - capacity_);
    oldest.erase(0, part);
    size_ -= part;
    dropped_ += part;
    if (oldest.empty()) pieces_.pop_front();
  }
}

std::vector<rpc::Output> ScrollBack::Last(std::uint64_t bytes, TimePoint since) const {
  std::vector<rpc::Output> outputs;
  std::uint64_t left = bytes;
  for (auto piece = pieces_.rbegin(); piece != pieces_.rend() && left > 0 && piece->when >= since; ++piece) {
    const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece->text.size()));
    rpc::Output output;
    output.text = piece->text.substr(piece->text.size() - part);
    output.processor = piece->processor;
    output.history = true;
    outputs.push_back(std::move(output));
    left -= part;
  }
  std::reverse(outputs.begin(), outputs.end());
  std::uint64_t told = 0;
  for (const rpc::Output& output : outputs) told += output.text.size();
  if (!outputs.empty()) outputs.front().skipped = dropped_ + (size_ - told);
  return outputs;
}

}  // namespace longwire
