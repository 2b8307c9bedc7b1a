#pragma once

#include <concepts>
#include <type_traits>
#include <utility>
#include <variant>

namespace longwire::rpc {

/// A std::variant whose copies, moves and end are compiled once, in messages.cc: for thirty types they are so
/// much code that every file which passes a message on took seconds longer to compile. It is made from and
/// assigned exactly its types, without conversions.
template <class... Types>
class OneOf : public std::variant<Types...> {
 public:
  using Variant = std::variant<Types...>;

  OneOf();
  OneOf(const OneOf& other);
  OneOf(OneOf&& other) noexcept;
  OneOf& operator=(const OneOf& other);
  OneOf& operator=(OneOf&& other) noexcept;
  ~OneOf();

  template <class T>
  requires(std::same_as<std::remove_cvref_t<T>, Types> || ...) OneOf(T&& value)
      : Variant(std::in_place_type<std::remove_cvref_t<T>>, std::forward<T>(value)) {}
  template <class T>
  requires(std::same_as<std::remove_cvref_t<T>, Types> || ...) OneOf& operator=(T&& value) {
    return *this = OneOf(std::forward<T>(value));
  }
};

}  // namespace longwire::rpc
