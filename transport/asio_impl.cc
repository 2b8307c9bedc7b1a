// Asio's non-template parts, compiled once; every user sees BOOST_ASIO_SEPARATE_COMPILATION.
#include <boost/asio/impl/src.hpp>
