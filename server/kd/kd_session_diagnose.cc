#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "server/kd/kd_service.h"
#include "server/kd/kd_session.h"

namespace longwire {

/// Beside the other requests, so that a cancel and the end of the client are seen. A server that ends waits
/// for it as for a goodbye: a target that was stopped is resumed first.
void KdSession::Diagnose(std::uint64_t id, std::string link) {
  if (identity_.role != rpc::Role::kDriver) {
    return Answer(id, Error{Errc::kFenced, "only a client that may drive a link may have one examined"}, {});
  }
  if (link_ || opening_ || diagnosis_) {
    return Answer(id, Error{Errc::kUsage, "this connection has a kernel link already"}, {});
  }
  diagnosis_id_ = id;
  diagnosis_ = std::make_shared<Diagnosis>([weak = weak_from_this()](const DiagnosedStep& step) {
    if (const auto self = weak.lock(); self && !self->over_) self->OnLinkEvent(rpc::Event(step));
  });
  ++*service_.farewells_;
  boost::asio::co_spawn(
      executor_,
      [](std::shared_ptr<KdSession> self, std::shared_ptr<int> farewells, std::uint64_t request,
         std::string text) -> Awaitable<void> {
        co_await self->service_.Examine(std::move(text), self->diagnosis_);
        --*farewells;
        self->diagnosis_.reset();
        if (!self->over_) self->Answer(request, rpc::Done{}, {});
      }(shared_from_this(), service_.farewells_, id, std::move(link)),
      boost::asio::detached);
}

}  // namespace longwire
