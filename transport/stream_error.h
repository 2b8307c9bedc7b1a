#pragma once

#include <boost/system/error_code.hpp>
#include <string>

#include "proto/error.h"

namespace longwire {

/// What a failed operation on a stream to `peer` means: kCancelled for an own Close(), otherwise kIo with
/// errno.
Error StreamError(const boost::system::error_code& error, const std::string& peer);
/// The same for a failed connection to `where`: kUnreachable with errno, or kCancelled.
Error ConnectError(const boost::system::error_code& error, const std::string& where);

}  // namespace longwire
