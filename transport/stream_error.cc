#include "transport/stream_error.h"

#include <boost/asio/error.hpp>

namespace longwire {
namespace {

bool IsOwnClose(const boost::system::error_code& error) {
  return error == boost::asio::error::operation_aborted || error == boost::asio::error::bad_descriptor;
}

}  // namespace

Error StreamError(const boost::system::error_code& error, const std::string& peer) {
  if (IsOwnClose(error)) return {Errc::kCancelled, "The stream was closed on this side."};
  return {Errc::kIo, "The connection to " + peer + " failed: " + error.message() + ".", 0, error.value()};
}

Error ConnectError(const boost::system::error_code& error, const std::string& where) {
  if (IsOwnClose(error)) return {Errc::kCancelled, "The attempt to reach " + where + " was given up."};
  return {Errc::kUnreachable, "Cannot reach " + where + ": " + error.message() + ".", 0, error.value()};
}

}  // namespace longwire
