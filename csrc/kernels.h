// What one instruction set offers to the engine: the scan of one direction, forward and backward.
#pragma once

#include <stdint.h>

#include "engine.h"
#include "schedule.h"

namespace bothways {

// Of what is numbered: from `first` to before `last`.
struct Range {
  int64_t first, last;
};

// A share of work: `part` of `parts`.
struct Share {
  int64_t part, parts;

  Range of(int64_t count) const { return {count * part / parts, count * (part + 1) / parts}; }
};

// Where the threads of a team wait for one another (threads.cc). False: one was so late that the team parts, which it
// does only where it `may`.
class Barrier;
bool wait(Barrier& barrier, int64_t members, bool may_part);

// A worker's part in a time loop: a share of the units. The workers that have the others go through it side by side, a
// team, with the same scratch memory.
struct Member {
  Share share = {0, 1};
  Barrier* barrier = nullptr;

  bool first() const { return share.part == 0; }
  void meet() const {
    if (share.parts > 1) wait(*barrier, share.parts, false);
  }
  // Of a team that is together. False: it has parted, and this worker goes. The first stays, with all shares.
  bool meet_or_part() {
    if (wait(*barrier, share.parts, true)) return true;
    const bool stays = first();
    share = {0, 1};
    return stays;
  }
};

// A block of rows of one direction.
struct ForwardJob {
  const Input* input;
  const Schedule* whole;  // of all rows
  const Schedule* block;  // of those to work on
  const Direction* direction;
  float* outputs;         // this direction's columns of (batch, time, output_stride), or null
  int64_t output_stride;  // floats from a step to the next
  const DirectionOutputs* results;
  float* scratch;  // (forward_scratch floats), the worker's own, or the team's
  Member member;
};

struct BackwardJob {
  const Input* input;
  const Schedule* whole;
  const Schedule* block;
  const Direction* direction;
  const float* d_outputs;  // this direction's columns, or null
  int64_t output_stride;
  float* d_x;  // (batch, time, features), or null
  const DirectionGradients* results;
  float* shared;   // (backward_shared floats), of all that work on the direction
  float* scratch;  // (backward_scratch floats), the worker's own, or the team's
  Member member;   // in the time loop
};

// One cell; of int8, forward alone, the others are null. A backward pass is one call of `backward` for a direction; or
// `begin_backward`, then `flow_back` for every block of rows, then `input_gradient` (if d_x is wanted) and
// `weight_gradient` in any order, then `end_backward`, each shared out at will. Both give the same bits.
struct CellKernels {
  int64_t (*residual_floats)(const Input&, const Direction&);
  int64_t (*packed_floats)(const Input&, const Direction&);
  void (*pack)(const Input&, const Direction&, Share, float* packed);
  int64_t (*forward_scratch)(const ForwardJob&);
  void (*forward)(const ForwardJob&);
  int64_t (*backward_shared)(const BackwardJob&);
  int64_t (*backward_scratch)(const BackwardJob&);
  void (*backward)(const BackwardJob&);
  void (*begin_backward)(const BackwardJob&, Share);
  void (*flow_back)(const BackwardJob&);
  void (*input_gradient)(const BackwardJob&, Share);
  void (*weight_gradient)(const BackwardJob&, Share);
  void (*end_backward)(const BackwardJob&, Share);
};

struct CellTable {
  CellKernels cells[kCells];

  const CellKernels& operator[](CellKind cell) const { return cells[static_cast<int>(cell)]; }
};

// By what the factors of products are.
struct Tables {
  const CellTable *float32, *bfloat16;
  const CellTable* bfloat16_dropout;  // where there is dropout by gate
  const CellTable* int8;              // forward passes without dropout alone
};

constexpr Tables all_singles(const CellTable& singles, const CellTable& codes) {
  return {&singles, &singles, &singles, &codes};
}

struct Kernels {
  const char* name;
  Tables tables;
  Tables narrow;  // with vectors half as wide, for few units, where the machine takes half the time; else nulls
};

extern const CellTable kBaseSingles, kBaseCodes;

}  // namespace bothways
