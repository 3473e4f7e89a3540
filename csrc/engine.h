// The engine: bidirectional recurrent layers, forward and backward, on float32 arrays.
//
// Arrays are dense and row-major; each is named with its shape. Axes are batch, time, features, units.
// Nothing here knows Python or XLA, and nothing checks shapes: that is done at the border (bind_*.cc).
#pragma once

#include <stdint.h>

namespace bothways {

constexpr int kMaxDirections = 2;
constexpr int kMaxStates = 2;  // an LSTM has h and c

enum class CellKind { kLstm, kGru, kRnnTanh, kRnnRelu, kGruResetBefore };
constexpr int kCells = 5;

// What the border has to know of a cell; `bothways.spec` says the same in Python.
struct CellShape {
  int gates;   // blocks of `units` columns in the weights
  int biases;  // rows of the bias
  int states;  // h, or h and c
};

constexpr CellShape kCellShapes[kCells] = {{4, 1, 2}, {3, 2, 1}, {1, 1, 1}, {1, 1, 1}, {3, 1, 1}};

constexpr CellShape shape_of(CellKind cell) { return kCellShapes[static_cast<int>(cell)]; }

// What a cell can make of its sums; `bothways.spec.ACTIVATIONS` says the same in Python.
enum class Function { kTanh, kSigmoid, kRelu, kLinear, kHardSigmoid };
constexpr int kFunctions = 5;

struct Functions {
  bool named;  // or those of the cell: tanh (relu for kRnnRelu), and sigmoid for gates
  Function activation, gate;
};

// What products take their factors in; `bothways.engine.PRECISIONS` says the same in Python. All else is float32, but
// for the sums of int8, which has no backward pass and no dropout.
enum class Precision { kFloat32, kBfloat16, kInt8 };
inline bool known_precision(int64_t number) { return number >= 0 && number <= 2; }

// Where numbers enter by how far they are through bins, one after the other: the first columns of x, of which the
// kernel has a row for each edge of a bin. Between two edges a number adds what lies between their rows (bins.inc).
struct Bins {
  int64_t numbers, count;         // `count` bins of each number, so one edge more
  const float *centers, *slopes;  // (count, numbers) each; a slope is 2 by the width

  int64_t edges() const { return numbers * (count + 1); }  // of all numbers
};

// What is read.
struct Input {
  int64_t batch, time, features;  // as many as the kernel has rows
  const float* x;                 // (batch, time, x_columns)
  const uint8_t* mask;            // (batch, time), nonzero where a step counts; null: every step does
  bool zero_output_for_mask;      // what a masked step puts out: zero, or the state that it carries
  Precision precision;
  Bins bins;  // not with bfloat16; for forward passes without residuals and dropout. Of int8 they are float32
  bool time_major = false;  // time comes first, then batch, in x and d_x, outputs and d_outputs; not in the mask
};

inline int64_t x_columns(const Input& input) { return input.features - input.bins.numbers * input.bins.count; }

// Some floats in memory.
struct Floats {
  const float* values;
  int64_t count;
};

// Tells values apart by all of their bits.
struct Digest {
  uint64_t words[2];

  bool operator==(const Digest& other) const { return words[0] == other.words[0] && words[1] == other.words[1]; }
};

// One reading of it. The columns of the weights are blocks of `units`, one a gate.
struct Direction {
  CellKind cell;
  Functions functions;
  int64_t units;
  bool reverse;                             // from the last step to the first
  const float* kernel;                      // (features, gates * units)
  const float* recurrent_kernel;            // (units, gates * units)
  const float* bias;                        // (biases, gates * units), or null
  const float* initial_states[kMaxStates];  // (batch, units) each, or null for zeros
  const float* dropout;                     // (gates, batch, features), by which x is multiplied for a gate, or null
  bool same_dropout;                        // for all gates: then `dropout` is (batch, features)
  const float* recurrent_dropout;           // (gates, batch, units), the same for h, or null
  const float* packed;                      // what `pack` made of the weights, or null: a forward pass does it itself
  const Digest* digest;                     // of the weights, or null: a forward pass that needs it makes it
};

// What a call reads.
struct Call {
  Input input;
  int count;  // of directions: 1 or 2
  Direction directions[kMaxDirections];
};

// How many floats there are in the arrays of a direction.
struct Sizes {
  int64_t columns;  // of its weights
  int64_t kernel, recurrent_kernel, bias, state, dropout, recurrent_dropout;
};

inline Sizes sizes_of(const Input& input, const Direction& d) {
  const CellShape shape = shape_of(d.cell);
  const int64_t columns = shape.gates * d.units, rows = shape.gates * input.batch;
  return {columns,
          input.features * columns,
          d.units * columns,
          shape.biases * columns,
          input.batch * d.units,
          (d.same_dropout ? input.batch : rows) * input.features,
          rows * d.units};
}

// The columns of the outputs that are those of the first `count` directions.
inline int64_t total_units(const Direction* directions, int count) {
  int64_t units = 0;
  for (int i = 0; i < count; ++i) units += directions[i].units;
  return units;
}

inline int64_t x_size(const Input& input) { return input.batch * input.time * x_columns(input); }
inline int64_t outputs_size(const Call& call) {
  return call.input.batch * call.input.time * total_units(call.directions, call.count);
}

// Sets the cell and its functions by the number that `bothways.spec.cell_number` gives. False: there is no such cell.
inline bool set_cell(Direction& d, int64_t number) {
  const int64_t kind = number & 255, functions = number >> 8;
  if (kind >= kCells || functions < 0 || functions > kFunctions * kFunctions) return false;
  d.cell = static_cast<CellKind>(kind);
  d.functions.named = functions > 0;
  if (functions == 0) return true;
  d.functions.activation = static_cast<Function>((functions - 1) % kFunctions);
  d.functions.gate = static_cast<Function>((functions - 1) / kFunctions);
  return true;
}

// What a forward pass writes for one direction.
struct DirectionOutputs {
  float* final_states[kMaxStates];  // (batch, units) each, or null
  float* residuals;                 // (residual_floats(...)), what the backward pass needs; null if there is none
};

// What a backward pass reads and writes for one direction.
struct DirectionGradients {
  float* residuals;                         // as the forward pass left them; overwritten
  const float* d_final_states[kMaxStates];  // (batch, units) each, or null for zeros
  float* d_kernel;                          // (features, gates * units)
  float* d_recurrent_kernel;                // (units, gates * units)
  float* d_bias;                            // (biases, gates * units)
  float* d_initial_states[kMaxStates];      // (batch, units) each, or null
};

// Whether the arrays of such a call can be counted: otherwise a product of sizes may overflow and match anything, and
// the schedule, which numbers rows and steps in 32 bits, may point anywhere.
inline bool countable(int64_t batch, int64_t time, int64_t features, int64_t units) {
  constexpr double kMost = 1e17;
  const double width = 16.0 * units + 8.0 * features + 512;
  return batch >= 0 && batch <= INT32_MAX && time >= 0 && time <= INT32_MAX && features >= 0 && units > 0 &&
         (batch + 1.0) * (time + 1.0) * width < kMost && width * width < kMost;
}

// Lays out the weights for forward passes, in packed_floats(...) floats, which start a cache line. They serve as long
// as the weights, the instruction set and the precision are the same; `pack` reads nothing else of the input but its
// features.
int64_t packed_floats(const Input& input, const Direction& direction);
void pack(const Input& input, const Direction& direction, float* packed);

// Forward passes of few steps keep what they pack, and find it again by the digest of the weights. Whether one of so
// many steps of all rows, and of so many weights of all directions, does so, without residuals and dropout.
bool wants_digest(int64_t steps, int64_t weights, Precision precision);
Digest digest_of(const Floats* arrays, int64_t count);

// How many floats `residuals` holds for one direction.
// Of the pointers it only asks whether there is dropout.
int64_t residual_floats(const Input& input, const Direction& direction);

// Whether the kernels in use can read residuals: those of another instruction set may lay them out otherwise.
bool readable(const Input& input, const Direction& direction, const float* residuals);

// Runs the directions side by side; `results` has one entry for each. `outputs` is (batch, time, units of all
// directions), each step's output at the step's own place whatever the direction; null if only final states are wanted.
void forward(const Call& call, float* outputs, const DirectionOutputs* results);

// Backpropagates through a forward pass that left residuals, which have to be `readable`. `d_outputs` is shaped as its
// outputs, or null for zeros; `d_x` (batch, time, features) is written, not added to, and may be null if it is not
// wanted.
void backward(const Call& call, const float* d_outputs, float* d_x, const DirectionGradients* results);

// The instruction sets that this machine can run, best first, and the one in use.
int instruction_sets(const char** names);  // room for 5
const char* instruction_set();
bool set_instruction_set(const char* name);  // false: not here

}  // namespace bothways
