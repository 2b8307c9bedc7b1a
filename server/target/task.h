#pragma once

#include <coroutine>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace longwire {

/// A lazy coroutine for target logic: straight-line code whose waits are answered by whoever drives the
/// target, so that a unit test can drive it with a simulated clock. Single-threaded, no executor, no
/// exceptions. A Task owns its frame: destroying it at a wait drops the computation; whatever it waited for
/// must forget it in the awaiter's destructor.
template <class T>
class Task;

namespace internal {

struct TaskPromiseCommon {
  std::coroutine_handle<> continuation;
  std::function<void()> on_done;  ///< root tasks only

  std::suspend_always initial_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }

  struct Final {
    bool await_ready() noexcept { return false; }
    template <class Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
      TaskPromiseCommon& promise = handle.promise();
      if (promise.continuation) return promise.continuation;
      // The frame may be destroyed by the callee, so nothing of it is touched after the call.
      auto done = std::move(promise.on_done);
      if (done) done();
      return std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  Final final_suspend() noexcept { return {}; }
};

template <class T>
struct TaskPromise : TaskPromiseCommon {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T Take() { return std::move(*value); }
};

template <>
struct TaskPromise<void> : TaskPromiseCommon {
  Task<void> get_return_object();
  void return_void() noexcept {}
  void Take() {}
};

}  // namespace internal

template <class T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::TaskPromise<T>;

  Task() = default;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Reset();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  ~Task() { Reset(); }

  /// Runs a root task until its first wait. `on_done` is called once it ended and may destroy this Task.
  void Start(std::function<void()> on_done) {
    handle_.promise().on_done = std::move(on_done);
    handle_.resume();
  }
  bool empty() const { return !handle_; }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> continuation) noexcept {
    handle_.promise().continuation = continuation;
    return handle_;
  }
  T await_resume() { return handle_.promise().Take(); }

 private:
  void Reset() {
    if (auto handle = std::exchange(handle_, {})) handle.destroy();
  }
  std::coroutine_handle<promise_type> handle_;
};

namespace internal {
template <class T>
Task<T> TaskPromise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<TaskPromise<T>>::from_promise(*this));
}
inline Task<void> TaskPromise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<TaskPromise<void>>::from_promise(*this));
}
}  // namespace internal

}  // namespace longwire
