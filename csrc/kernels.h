// What one instruction set offers to the engine: the scan of one direction, forward and backward.
#pragma once

#include <stdint.h>

#include "engine.h"
#include "schedule.h"

namespace bothways {

struct ForwardJob {
  const Input* input;
  const Schedule* schedule;
  const Direction* direction;
  float* outputs;         // this direction's columns of (batch, time, output_stride), or null
  int64_t output_stride;  // floats from a step to the next
  const DirectionOutputs* results;
  float* scratch;  // (forward_scratch floats)
};

struct BackwardJob {
  const Input* input;
  const Schedule* schedule;
  const Direction* direction;
  const float* d_outputs;  // this direction's columns, or null
  int64_t output_stride;
  float* d_x;  // (batch, time, features), or null
  const DirectionGradients* results;
  float* scratch;  // (backward_scratch floats)
};

// One cell.
struct CellKernels {
  int64_t (*residual_floats)(const Input&, const Direction&);
  int64_t (*packed_floats)(const Input&, const Direction&);
  void (*pack)(const Input&, const Direction&, float* packed);
  int64_t (*forward_scratch)(const ForwardJob&);
  void (*forward)(const ForwardJob&);
  int64_t (*backward_scratch)(const BackwardJob&);
  void (*backward)(const BackwardJob&);
};

struct CellTable {
  CellKernels cells[kCells];

  const CellKernels& operator[](CellKind cell) const { return cells[static_cast<int>(cell)]; }
};

// By what the factors of products are.
struct Tables {
  const CellTable *float32, *bfloat16;
  const CellTable* bfloat16_dropout;  // where there is dropout by gate
};

struct Kernels {
  const char* name;
  Tables tables;
  Tables narrow;  // with vectors half as wide, for few units; or nulls
};

extern const CellTable kBaseSingles, kAvx2Singles, kAvx512Singles, kAvx512Pairs, kAmxPairs;
extern const CellTable kAvx512NarrowSingles, kAvx512NarrowPairs;

}  // namespace bothways
