// The engine for a page (src/bothways/page): forward passes of one direction, on one thread, in vectors of 128 bits.
// It needs no library but headers: memory is taken from a stack, and whoever calls puts it back where it stood.
#include <cstddef>

#include "blocks.h"
#include "engine.h"
#include "schedule.h"

namespace bothways {
namespace {
constexpr int kLanes = 4;
constexpr int kTileRows = 2;
}  // namespace
}  // namespace bothways

#include "isa.inc"

#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

extern "C" char __heap_base;

namespace {

constexpr uintptr_t kLine = 64, kWasmPage = 1 << 16;
uintptr_t top = reinterpret_cast<uintptr_t>(&__heap_base);

}  // namespace

// So many bytes, which start a cache line; 0 where there are none.
EXPORT(take) void* take(size_t bytes) {
  const uintptr_t at = (top + kLine - 1) / kLine * kLine, room = __builtin_wasm_memory_size(0) * kWasmPage;
  if (bytes > UINTPTR_MAX - at - kWasmPage) return nullptr;
  if (at + bytes > room && __builtin_wasm_memory_grow(0, (at + bytes - room + kWasmPage - 1) / kWasmPage) == SIZE_MAX) {
    return nullptr;
  }
  top = at + bytes;
  return reinterpret_cast<void*>(at);
}

// Where memory stands, and back there.
EXPORT(mark) uintptr_t mark() { return top; }
EXPORT(release) void release(uintptr_t to) { top = to; }

void* operator new(size_t bytes) {
  void* memory = take(bytes);
  if (!memory) __builtin_trap();
  return memory;
}
void operator delete(void*) noexcept {}
void operator delete(void*, size_t) noexcept {}

namespace bothways {

bool wait(Barrier&, int64_t, bool) { return true; }  // there is but one thread

namespace {

template <class Cell>
bool run_cell(ForwardJob job) {
  job.scratch = static_cast<float*>(take(Forward<Cell, Singles>::scratch(job) * sizeof(float)));
  if (job.scratch) Forward<Cell, Singles>::run(job);
  return job.scratch;
}

}  // namespace
}  // namespace bothways

// Runs one direction; arrays are shaped as in engine.h, `outputs` (batch, time, stride). Masked steps put out zeros.
// `cell` is a CellKind; `bins` are the centers of Bins, with the slopes behind them. False: there is no such cell, or
// too little memory.
EXPORT(forward)
bool forward(int32_t cell, int32_t batch, int32_t time, int32_t features, int32_t units, bool reverse, const float* x,
             const uint8_t* mask, const float* kernel, const float* recurrent_kernel, const float* bias, float* outputs,
             int32_t stride, float* final_h, int32_t numbers, int32_t count, const float* bins) {
  using namespace bothways;
  const Input input = {
      batch, time, features, x, mask, true, Precision::kFloat32, {numbers, count, bins, bins + numbers * count}};
  Direction direction = {};
  direction.cell = static_cast<CellKind>(cell);
  direction.units = units;
  direction.reverse = reverse;
  direction.kernel = kernel;
  direction.recurrent_kernel = recurrent_kernel;
  direction.bias = bias;
  const DirectionOutputs results = {{final_h}, nullptr};
  const WholeSchedule whole(input);
  const ForwardJob job = {&input, &whole.schedule, &whole.schedule, &direction, outputs, stride, &results, nullptr, {}};
  switch (direction.cell) {
    case CellKind::kLstm:
      return run_cell<Lstm>(job);
    case CellKind::kGru:
      return run_cell<Gru>(job);
    case CellKind::kRnnTanh:
    case CellKind::kRnnRelu:
      return run_cell<Rnn>(job);
    case CellKind::kGruResetBefore:
      return run_cell<GruResetBefore>(job);
  }
  return false;
}

// `(rows, trees)` the values of the leaves that rows of `inputs` numbers come to, in trees as bothways.export describes
// them: each node asks one input, and passes to its first child what is no more than its value, or what is missing if
// its set is -2; from 0 on, the set says which of so many `places` go there, the last one being what is missing. Some
// rows go down a tree together, so that none waits for its memory alone; at a leaf, which is its own child, rows stay.
EXPORT(leaves)
void leaves(int32_t rows, int32_t inputs, int32_t trees, int32_t places, const double* x, const int32_t* roots,
            const int32_t* asks, const int32_t* children, const double* values, const int32_t* sets,
            const uint8_t* kinds, double* found) {
  constexpr int kRows = 16;
  for (; rows > 0; rows -= kRows, x += kRows * inputs, found += kRows * trees) {
    const int count = rows < kRows ? rows : kRows;
    for (int32_t tree = 0; tree < trees; ++tree) {
      int32_t nodes[kRows], moved = 1;
      for (int row = 0; row < count; ++row) nodes[row] = roots[tree];
      while (moved) {
        moved = 0;
        for (int row = 0; row < count; ++row) {
          const int32_t at = nodes[row], set = sets[at];
          const double asked = x[row * inputs + asks[at]];
          bool first = (asked <= values[at]) | ((asked != asked) & (set == -2));
          if (set >= 0) {
            const int32_t last = places - 1, place = asked < last ? (asked > 0 ? int32_t(asked) : 0) : last;
            first = kinds[places * set + place];
          }
          nodes[row] = children[2 * at + !first];
          moved |= nodes[row] ^ at;
        }
      }
      for (int row = 0; row < count; ++row) found[row * trees + tree] = values[nodes[row]];
    }
  }
}
