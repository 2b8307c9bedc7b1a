#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <memory>

#include "transport/stream.h"

/// Streams over connected sockets; for the .cc files of this folder only.
namespace longwire {

std::unique_ptr<Stream> MakeTcpStream(boost::asio::ip::tcp::socket socket);
/// PeerInfo::user_id is the peer's, as the kernel says.
std::unique_ptr<Stream> MakeLocalStream(boost::asio::local::stream_protocol::socket socket);

/// "192.168.7.2:50112", "[fe80::1%eth0]:5005".
std::string FormatAddress(const boost::asio::ip::tcp::endpoint& endpoint);
bool IsLoopback(const boost::asio::ip::address& address);

}  // namespace longwire
