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
  int64_t (*saved_floats)(int64_t batch, int64_t time, int64_t features, int64_t units);
  int64_t (*forward_scratch)(const ForwardJob&);
  void (*forward)(const ForwardJob&);
  int64_t (*backward_scratch)(const BackwardJob&);
  void (*backward)(const BackwardJob&);
};

struct Kernels {
  const char* name;
  CellKernels cells[kCells];

  const CellKernels& operator[](CellKind cell) const { return cells[static_cast<int>(cell)]; }
};

extern const Kernels kBaseKernels, kAvx2Kernels, kAvx512Kernels;

}  // namespace bothways
