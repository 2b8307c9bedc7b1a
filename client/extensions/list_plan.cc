#include "client/extensions/list_plan.h"

#include <algorithm>
#include <vector>

#include "proto/plan/plan_builder.h"

namespace longwire {
namespace {

constexpr std::uint32_t kMaxParts = 64;  // spans and follows of one list; two or five instructions each
constexpr std::int64_t kMergeGap = 32;   // a record costs about as much on the wire as this many bytes

using plan::PlanBuilder;
using plan::Reg;

void UseSpace(PlanBuilder& builder, AddressSpace space) {
  switch (space.kind) {
    case AddressSpace::Kind::kVirtual: builder.UseVirtual(); break;
    case AddressSpace::Kind::kPhysical: builder.UsePhysical(); break;
    case AddressSpace::Kind::kPageTable: {
      Reg base = builder.Constant(space.directory_base);
      builder.UsePageTable(base);
      builder.Release(base);
    }
  }
}

/// Spans in ascending order, near ones joined.
std::vector<lw_span> Merge(const lw_list& list) {
  std::vector<lw_span> spans(list.spans, list.spans + list.span_count);
  std::sort(spans.begin(), spans.end(),
            [](const lw_span& a, const lw_span& b) { return a.offset < b.offset; });
  std::vector<lw_span> merged;
  for (const lw_span& span : spans) {
    const std::int64_t end = span.offset + static_cast<std::int64_t>(span.size);
    if (merged.empty() ||
        span.offset > merged.back().offset + static_cast<std::int64_t>(merged.back().size) + kMergeGap) {
      merged.push_back(span);
    } else {
      lw_span& last = merged.back();
      last.size = std::max<std::uint64_t>(last.size, static_cast<std::uint64_t>(end - last.offset));
    }
  }
  return merged;
}

void WalkOne(PlanBuilder& builder, Reg head, const lw_list& list, unsigned pointer_size) {
  builder.WalkList(head, list.limit, pointer_size, [&](Reg entry, PlanBuilder::Label) {
    // Spans first: the loads of pointers below then find their bytes in the server's cache.
    for (const lw_span& span : Merge(list)) {
      builder.EmitFixed(0, entry, static_cast<std::uint64_t>(span.offset), span.size);
    }
    for (std::uint32_t i = 0; i < list.follow_count; ++i) {
      const lw_follow& follow = list.follows[i];
      Reg pointer = builder.Allocate();
      PlanBuilder::Label skip = builder.NewLabel();
      builder.Load(pointer, pointer_size, entry, static_cast<std::uint64_t>(follow.pointer_offset), skip);
      builder.And(pointer, pointer, follow.mask);
      builder.JumpZero(pointer, skip);
      builder.EmitFixed(0, pointer, static_cast<std::uint64_t>(follow.offset), follow.size);
      builder.Bind(skip);
      builder.Release(pointer);
    }
    if (list.inner) {
      Reg inner_head = builder.Allocate();
      builder.AddImmediate(inner_head, entry, list.inner->head);
      builder.EmitFixed(0, inner_head, 0, 2 * pointer_size);
      WalkOne(builder, inner_head, *list.inner, pointer_size);
      builder.Release(inner_head);
    }
  });
}

}  // namespace

Result<plan::Plan> BuildListPlan(AddressSpace space, const lw_list& list, unsigned pointer_size) {
  if (list.inner && list.inner->inner) {
    return Error{Errc::kUnsupported, "a list to be read ahead may hold one inner list, not a list in that"};
  }
  for (const lw_list* level = &list; level; level = level->inner) {
    if (level->span_count > kMaxParts || level->follow_count > kMaxParts) {
      return Error{Errc::kLimitExceeded, "a list to be read ahead may have 64 spans and 64 pointers"};
    }
  }
  PlanBuilder builder;
  UseSpace(builder, space);
  Reg head = builder.Constant(list.head);
  builder.EmitFixed(0, head, 0, 2 * pointer_size);
  WalkOne(builder, head, list, pointer_size);
  builder.Release(head);
  return builder.Build();
}

}  // namespace longwire
