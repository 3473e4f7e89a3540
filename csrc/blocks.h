// The schedules of a call: of all its rows, and of blocks of them for several threads.
#pragma once

#include <stdint.h>

#include <vector>

#include "engine.h"
#include "schedule.h"

namespace bothways {

class WholeSchedule {
 public:
  explicit WholeSchedule(const Input& input);

  Schedule schedule;

 private:
  std::vector<int32_t> ints_;
  std::vector<int64_t> base_;
};

// At most `count` blocks of about equal work; `whole` must outlive them.
class Blocks {
 public:
  Blocks(const Schedule& whole, int64_t count);

  int64_t size() const { return static_cast<int64_t>(blocks_.size()); }
  const Schedule& operator[](int64_t i) const { return blocks_[i].schedule; }

 private:
  struct Block {
    Schedule schedule;
    std::vector<int32_t> active;
    std::vector<int64_t> base, slot;
  };

  void add(const Schedule& whole, int64_t first, int64_t ranks);

  std::vector<Block> blocks_;
};

}  // namespace bothways
