#include "proto/rpc/messages.h"

namespace longwire::rpc {

template <class... Types>
OneOf<Types...>::OneOf() = default;
template <class... Types>
OneOf<Types...>::OneOf(const OneOf& other) = default;
template <class... Types>
OneOf<Types...>::OneOf(OneOf&& other) noexcept = default;
template <class... Types>
OneOf<Types...>& OneOf<Types...>::operator=(const OneOf& other) = default;
template <class... Types>
OneOf<Types...>& OneOf<Types...>::operator=(OneOf&& other) noexcept = default;
template <class... Types>
OneOf<Types...>::~OneOf() = default;

template Request::OneOf();
template Request::OneOf(const Request&);
template Request::OneOf(Request&&) noexcept;
template Request& Request::operator=(const Request&);
template Request& Request::operator=(Request&&) noexcept;
template Request::~OneOf();

template Answer::OneOf();
template Answer::OneOf(const Answer&);
template Answer::OneOf(Answer&&) noexcept;
template Answer& Answer::operator=(const Answer&);
template Answer& Answer::operator=(Answer&&) noexcept;
template Answer::~OneOf();

template Event::OneOf();
template Event::OneOf(const Event&);
template Event::OneOf(Event&&) noexcept;
template Event& Event::operator=(const Event&);
template Event& Event::operator=(Event&&) noexcept;
template Event::~OneOf();

template Message::OneOf();
template Message::OneOf(const Message&);
template Message::OneOf(Message&&) noexcept;
template Message& Message::operator=(const Message&);
template Message& Message::operator=(Message&&) noexcept;
template Message::~OneOf();

}  // namespace longwire::rpc
