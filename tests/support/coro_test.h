#pragma once

#include <gtest/gtest.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <exception>
#include <utility>

#include "proto/error.h"

/// Coroutine bodies for GoogleTest. ASSERT_* expands to `return`, which a coroutine cannot have; these use
/// `co_return`. They work in coroutines that return awaitable<void>.
#define CO_ASSERT_TRUE(condition)                       \
  do {                                                  \
    const bool co_holds = static_cast<bool>(condition); \
    EXPECT_TRUE(co_holds) << #condition;                \
    if (!co_holds) co_return;                           \
  } while (false)

#define CO_ASSERT_EQ(left, right)          \
  do {                                     \
    const auto& co_left = (left);          \
    const auto& co_right = (right);        \
    EXPECT_EQ(co_left, co_right);          \
    if (!(co_left == co_right)) co_return; \
  } while (false)

#define CO_ASSERT_OK(expression)                                         \
  do {                                                                   \
    const auto& co_result = (expression);                                \
    if (!co_result) {                                                    \
      ADD_FAILURE() << #expression << ": " << co_result.error().message; \
      co_return;                                                         \
    }                                                                    \
  } while (false)

#define CO_EXPECT_ERROR(expression, errc)                                   \
  do {                                                                      \
    const auto& co_result = (expression);                                   \
    if (co_result) {                                                        \
      ADD_FAILURE() << #expression << " succeeded";                         \
    } else {                                                                \
      EXPECT_EQ(co_result.error().code, errc) << co_result.error().message; \
    }                                                                       \
  } while (false)

namespace longwire::test {

inline constexpr std::chrono::seconds kTestLimit{30};  ///< so that a busy machine alone fails no test

/// Runs `body`, a callable that returns awaitable<void>, on `context` and fails the test if it takes longer
/// than kTestLimit.
template <class Body>
void RunTest(boost::asio::io_context& context, Body body) {
  bool done = false;
  boost::asio::co_spawn(context, std::move(body), [&](std::exception_ptr failure) {
    done = true;
    context.stop();
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "escaped: " << error.what();
    }
  });
  context.run_for(kTestLimit);
  if (!done) ADD_FAILURE() << "not finished within 30 s";
  // What is still under way goes before the objects of the test that it may refer to.
  context.restart();
  context.poll();
}

/// Suspends the calling coroutine; for letting time pass that the code under test measures.
inline boost::asio::awaitable<void> Pause(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
}

}  // namespace longwire::test
