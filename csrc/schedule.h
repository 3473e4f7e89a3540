// Which steps of which rows a call works on, and in what order. The mask is dealt with here, once, so that the
// time loop never sees it: every row becomes the list of its valid steps, the rows with the longest lists come
// first, and the loop's j-th turn takes the j-th valid step of every row that has one. Those rows are the
// first active[j] *ranks*. Padding on any side and holes cost nothing, and a call without a mask is the case in
// which every list is complete.
#pragma once

#include <stdint.h>

namespace bothways {

struct Schedule {
  int64_t batch, time;    // how many ranks there are, and the steps of a row
  int64_t rows;           // of the arrays of the call; more than `batch` in a block
  int64_t row_places;     // in arrays of all steps, from a row to the next
  int64_t step_places;    // from a step to the next
  int64_t turns;          // the longest list
  int64_t total;          // valid steps of all ranks
  const int32_t* row;     // (batch): rank -> row
  const int32_t* count;   // (batch): rank -> its number of valid steps
  const int32_t* active;  // (turns): how many ranks take part in turn j
  const int64_t* base;    // (turns): valid steps in the turns before j
  const int32_t* steps;   // (batch, time): rank, i -> its i-th valid step, in forward order
  const int64_t* slot;    // (turns): the residual slot of rank 0 in turn j
  int64_t last_slot;      // that after its last step
};

// The turn of a slot of all rows: it is the last that begins there or before.
static inline int64_t turn_of(const Schedule& s, int64_t slot) {
  int64_t first = 0, last = s.turns;
  while (last - first > 1) {
    const int64_t middle = (first + last) / 2;
    (s.base[middle] <= slot ? first : last) = middle;
  }
  return first;
}

// Blocks are ranks that follow one another, as a schedule of their own. Residuals stand where they would without
// blocks, turn after turn, so they do not depend on them.

// The steps of a row that one of its valid steps answers for: itself and the masked ones that follow it, in the
// order of reading. first, first + sign, ... (`count` of them).
struct Span {
  int64_t first, count, sign;
};

// j = -1 gives the masked steps before the first valid one.
static inline Span span_of(const Schedule& s, bool reverse, int64_t rank, int64_t j) {
  const int32_t* steps = s.steps + rank * s.time;
  const int64_t n = s.count[rank], sign = reverse ? -1 : 1;
  const int64_t start = reverse ? s.time - 1 : 0, stop = reverse ? -1 : s.time;
  const int64_t first = j < 0 ? start : steps[reverse ? n - 1 - j : j];
  const int64_t next = j + 1 < n ? steps[reverse ? n - 2 - j : j + 1] : stop;
  return {first, (next - first) * sign, sign};
}

// Where a step of a rank is in arrays of all steps.
static inline int64_t place_at(const Schedule& s, int64_t rank, int64_t step) {
  return s.row[rank] * s.row_places + step * s.step_places;
}

// Where its j-th valid step is.
static inline int64_t place_of(const Schedule& s, bool reverse, int64_t rank, int64_t j) {
  return place_at(s, rank, s.steps[rank * s.time + (reverse ? s.count[rank] - 1 - j : j)]);
}

}  // namespace bothways
