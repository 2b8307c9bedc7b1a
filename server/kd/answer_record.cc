#include "server/kd/answer_record.h"

#include <algorithm>

namespace longwire {

void AnswerRecord::Keep(const rpc::Envelope& answer, bool changes) {
  if (changes) {
    changes_.push_back(answer);
    if (changes_.size() > kChanges) changes_.pop_front();
    return;
  }
  if (answer.bulk.size() > kReadBytes) return;
  read_bytes_ += answer.bulk.size();
  reads_.push_back(answer);
  while (reads_.size() > kReads || read_bytes_ > kReadBytes) {
    read_bytes_ -= reads_.front().bulk.size();
    reads_.pop_front();
  }
}

const rpc::Envelope* AnswerRecord::Find(std::uint64_t id) const {
  for (const auto* answers : {&changes_, &reads_}) {
    const auto found = std::find_if(answers->begin(), answers->end(),
                                    [id](const rpc::Envelope& answer) { return answer.id == id; });
    if (found != answers->end()) return &*found;
  }
  return nullptr;
}

}  // namespace longwire
