#include "server/kd/line_witness.h"

#include <algorithm>

namespace longwire {
namespace {

bool IsText(std::byte byte) {
  const auto c = std::to_integer<unsigned>(byte);
  return (c >= 0x20 && c <= 0x7E) || c == '\n' || c == '\r' || c == '\t' || c == 0x1B;
}

}  // namespace

void LineWitness::Receive(kd::TimePoint now, kd::ByteView bytes) {
  bytes_ += bytes.size();
  printable_ += static_cast<std::uint64_t>(std::count_if(bytes.begin(), bytes.end(), IsText));
  framer_.Tick(now);
  framer_.Receive(now, bytes);
  while (const auto item = framer_.Next()) ++(item->kind == kd::Framer::Kind::kBad ? bad_ : packets_);
}

void LineWitness::Report(Diagnosis& diagnosis) const {
  const std::string seen = std::to_string(bytes_) + " bytes";
  if (packets_ > 0) {
    return diagnosis.Ok(DoctorStep::kFraming,
                        std::to_string(packets_) + " KD packets in " + seen +
                            (bad_ > 0 ? ", " + std::to_string(bad_) + " damaged ones besides" : ""));
  }
  if (IsMostlyText()) {
    return diagnosis.Fail(DoctorStep::kFraming, Finding::kTextOnLine,
                          seen + " came and they are text, not KD packets");
  }
  diagnosis.Fail(DoctorStep::kFraming, Finding::kGarbage,
                 seen +
                     " came and no KD packet is among them: most likely the two ends do not use the same "
                     "baud rate");
}

}  // namespace longwire
