#include <utility>

#include "proto/utf16.h"
#include "server/kd/kd_target.h"

namespace longwire {
void KdTarget::OnDebugIo(kd::ByteView payload) {
  Result<kd::DebugIo> io = kd::DecodeDebugIo(payload);
  if (!io) return;
  if (io->kind == kd::DebugIo::Kind::kPrint) {
    bugcheck_.OnPrint(io->text);
    events_(rpc::Output{std::move(io->text), io->processor, 0});
    return;
  }
  prompt_ = std::move(*io);
  prompt_deadline_.reset();
  if (!driver_present_) prompt_deadline_ = line_.now() + options_.prompt_patience;
  events_(rpc::PromptRequested{prompt_->text, prompt_->max_answer});
}

Result<void> KdTarget::AnswerPrompt(const std::string& text) {
  if (!prompt_) return Error{Errc::kNotFound, "the target asks nothing now"};
  const kd::DebugIo prompt = *std::exchange(prompt_, std::nullopt);
  prompt_deadline_.reset();
  line_.Post(kd::PacketType::kDebugIo, kd::EncodePromptAnswer(prompt, text));
  return {};
}

void KdTarget::OnFileRequest(kd::ByteView payload) {
  Result<kd::FileRequest> request = kd::DecodeFileRequest(payload);
  if (!request) return;
  if (file_) file_.reset();  // the target gave the former request up
  if (std::holds_alternative<kd::FileUnknown>(request->request)) {
    line_.Post(kd::PacketType::kFileIo, kd::EncodeFileStatus(*request, kd::kStatusUnsuccessful));
    return;
  }
  if (std::holds_alternative<kd::FileWrite>(request->request)) {
    line_.Post(kd::PacketType::kFileIo, kd::EncodeFileStatus(*request, kd::kStatusAccessDenied));
    return;
  }
  rpc::FileRequested event;
  event.request = ++last_file_id_;
  using Operation = rpc::FileRequested::Operation;
  if (const auto* create = std::get_if<kd::FileCreate>(&request->request)) {
    event.operation = Operation::kCreate;
    event.name = Utf8FromUtf16(create->name);
  } else if (const auto* read = std::get_if<kd::FileRead>(&request->request)) {
    event.operation = Operation::kRead;
    event.handle = read->handle;
    event.offset = read->offset;
    event.length = read->length;
  } else {
    event.operation = Operation::kClose;
    event.handle = std::get<kd::FileClose>(request->request).handle;
  }
  file_ = PendingFile{event.request, *request, line_.now() + options_.file_patience};
  if (!driver_present_) {
    RefuseFile();
    return;
  }
  events_(std::move(event));
}

/// Nobody serves files: the target uses its own (4.2).
void KdTarget::RefuseFile() {
  const kd::FileRequest request = std::exchange(file_, std::nullopt)->request;
  const bool create = std::holds_alternative<kd::FileCreate>(request.request);
  line_.Post(kd::PacketType::kFileIo,
             kd::EncodeFileStatus(request, create ? kd::kStatusNoSuchFile : kd::kStatusInvalidHandle));
}

Result<void> KdTarget::AnswerFile(const rpc::AnswerFile& answer, kd::ByteView bulk) {
  if (!file_ || file_->id != answer.request) {
    return Error{Errc::kNotFound, "the target does not wait for that file any more"};
  }
  const kd::FileRequest request = std::exchange(file_, std::nullopt)->request;
  kd::Bytes payload;
  if (answer.status != kd::kStatusSuccess || std::holds_alternative<kd::FileClose>(request.request)) {
    payload = kd::EncodeFileStatus(request, answer.status);
  } else if (std::holds_alternative<kd::FileCreate>(request.request)) {
    payload = kd::EncodeFileCreated(request, answer.handle, answer.length);
  } else {
    payload = kd::EncodeFileData(request, bulk);
  }
  line_.Post(kd::PacketType::kFileIo, std::move(payload));
  return {};
}

void KdTarget::ForgetQuestions() {
  prompt_.reset();
  prompt_deadline_.reset();
  file_.reset();
}

void KdTarget::TickQuestions() {
  if (prompt_ && prompt_deadline_ && line_.now() >= *prompt_deadline_) {
    const Result<void> answered = AnswerPrompt({});
    static_cast<void>(answered);
  }
  if (file_ && line_.now() >= file_->deadline) RefuseFile();
}

}  // namespace longwire
