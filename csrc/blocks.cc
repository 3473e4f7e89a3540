#include "blocks.h"

#include <algorithm>
#include <utility>

namespace bothways {
namespace {

int64_t valid_steps(const Input& input, int64_t b) {
  if (!input.mask) return input.time;
  const uint8_t* mask = input.mask + b * input.time;
  return input.time - std::count(mask, mask + input.time, 0);
}

// What a turn costs beside its rows, in rows: the panels have to be read for however few.
constexpr int64_t kTurnCost = 3;

// How many of the ranks from `first` on cost no more than `most` together.
int64_t ranks_within(const Schedule& s, int64_t first, int64_t most) {
  int64_t cost = first < s.batch ? kTurnCost * s.count[first] : 0, last = first;
  while (last < s.batch && cost + s.count[last] <= most) cost += s.count[last++];
  return last - first;
}

}  // namespace

WholeSchedule::WholeSchedule(const Input& input) {
  const int64_t batch = input.batch, time = input.time;
  ints_.resize(2 * batch + time + batch * time + time + 1);
  base_.resize(time);
  int32_t* row = ints_.data();
  int32_t* count = row + batch;
  int32_t* active = count + batch;
  int32_t* steps = active + time;
  int32_t* starts = steps + batch * time;  // counting sort, longest first
  std::fill(starts, starts + time + 1, 0);
  for (int64_t b = 0; b < batch; ++b) ++starts[time - valid_steps(input, b)];
  for (int64_t n = 0, start = 0; n <= time; ++n) {
    const int64_t rows = starts[n];
    starts[n] = static_cast<int32_t>(start);
    start += rows;
  }
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t n = valid_steps(input, b);
    const int32_t rank = starts[time - n]++;
    row[rank] = static_cast<int32_t>(b);
    count[rank] = static_cast<int32_t>(n);
    int32_t* list = steps + rank * time;
    for (int64_t t = 0; t < time; ++t) {
      if (!input.mask || input.mask[b * time + t]) *list++ = static_cast<int32_t>(t);
    }
  }
  const int64_t row_places = input.time_major ? 1 : time, step_places = input.time_major ? batch : 1;
  schedule = {batch, time,  batch,  row_places,   step_places, batch ? count[0] : 0, 0,
              row,   count, active, base_.data(), steps,       base_.data(),         0};
  for (int64_t j = 0, ranks = batch; j < schedule.turns; ++j) {
    while (count[ranks - 1] <= j) --ranks;
    active[j] = static_cast<int32_t>(ranks);
    base_[j] = schedule.total;
    schedule.total += ranks;
  }
  schedule.last_slot = schedule.total;
}

Blocks::Blocks(const Schedule& whole, int64_t count) {
  // The lowest cost of the dearest block, by halving.
  int64_t low = 0, high = whole.total + kTurnCost * whole.turns;
  while (low + 1 < high) {
    const int64_t middle = low + (high - low) / 2;
    int64_t first = 0;
    for (int64_t i = 0; i < count; ++i) first += ranks_within(whole, first, middle);
    (first == whole.batch ? high : low) = middle;
  }
  for (int64_t first = 0; first < whole.batch;) {
    const int64_t ranks = std::max<int64_t>(1, ranks_within(whole, first, high));
    add(whole, first, ranks);
    first += ranks;
  }
  // Not before: the vectors move as they grow.
  for (Block& block : blocks_) {
    block.schedule.active = block.active.data();
    block.schedule.base = block.base.data();
    block.schedule.slot = block.slot.data();
  }
}

void Blocks::add(const Schedule& whole, int64_t first, int64_t ranks) {
  Block block;
  Schedule& s = block.schedule;
  s = whole;
  s.batch = ranks;
  s.row += first;
  s.count += first;
  s.steps += first * whole.time;
  s.turns = s.count[0];
  s.total = 0;
  s.last_slot = whole.last_slot + first;
  for (int64_t j = 0; j < s.turns; ++j) {
    block.active.push_back(static_cast<int32_t>(std::min<int64_t>(ranks, whole.active[j] - first)));
    block.base.push_back(s.total);
    block.slot.push_back(whole.slot[j] + first);
    s.total += block.active.back();
  }
  blocks_.push_back(std::move(block));
}

}  // namespace bothways
