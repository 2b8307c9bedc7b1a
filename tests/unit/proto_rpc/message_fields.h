#pragma once

#include <array>
#include <boost/pfr.hpp>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "proto/rpc/messages.h"

/// Fills and compares any message field by field, so that a field added to messages.h and forgotten in the
/// conversion makes the round-trip test fail.
namespace longwire::test {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsArray : std::false_type {};
template <class T, std::size_t kSize>
struct IsArray<std::array<T, kSize>> : std::true_type {};
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

/// Every field gets a value unlike its default and mostly unlike the others.
class Filler {
 public:
  template <class T>
  void Fill(T& value) {
    ++count_;
    if constexpr (std::is_same_v<T, bool>) {
      value = !value;
    } else if constexpr (std::is_same_v<T, AddressSpace>) {
      value = AddressSpace::PageTable(0xFFFF'8000'0000'0000 + count_);
    } else if constexpr (std::is_same_v<T, std::byte>) {
      value = static_cast<std::byte>(0x80 + count_);
    } else if constexpr (std::is_enum_v<T>) {
      value = static_cast<T>(2);
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(sizeof(T) == 8 ? 0xF000'0000'0000'0000 + count_ : 100 + count_);
    } else if constexpr (std::is_same_v<T, std::string>) {
      value = "text \xFF " + std::to_string(count_);
    } else if constexpr (IsVector<T>::value) {
      value.resize(3);
      for (auto& element : value) Fill(element);
    } else if constexpr (IsArray<T>::value) {
      for (auto& element : value) Fill(element);
    } else if constexpr (IsOptional<T>::value) {
      value.emplace();
      Fill(*value);
    } else {
      boost::pfr::for_each_field(value, [&](auto& field) { Fill(field); });
    }
  }

 private:
  std::uint64_t count_ = 0;
};

template <class T>
bool SameFields(const T& left, const T& right) {
  if constexpr (std::equality_comparable<T> && !IsVector<T>::value && !IsOptional<T>::value) {
    return left == right;
  } else if constexpr (IsVector<T>::value) {
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (!SameFields(left[i], right[i])) return false;
    }
    return true;
  } else if constexpr (IsOptional<T>::value) {
    return left.has_value() == right.has_value() && (!left || SameFields(*left, *right));
  } else {
    bool same = true;
    boost::pfr::for_each_field(left, [&](const auto& field, std::size_t index) {
      boost::pfr::for_each_field(right, [&](const auto& other, std::size_t other_index) {
        if constexpr (std::is_same_v<decltype(field), decltype(other)>) {
          if (index == other_index) same = same && SameFields(field, other);
        }
      });
    });
    return same;
  }
}

}  // namespace longwire::test
