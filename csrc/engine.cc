#include "engine.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "blocks.h"
#include "kernels.h"
#include "machine.h"
#include "threads.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace bothways {
namespace {

// ------------------------------------------------------------------ instruction sets

const std::vector<Kernels>& all_kernels() {
  static const std::vector<Kernels> found = find_kernels();
  return found;
}

std::atomic<const Kernels*> chosen{nullptr};

const Kernels& kernels() {
  if (!chosen.load()) chosen.store(&all_kernels().front());
  return *chosen.load();
}

// Whether vectors half as wide pay: of few units fewer lanes stay empty.
bool narrow_pays(int64_t units) {
  constexpr int64_t kWide = 16, kFew = 128;
  const int64_t left = units % kWide;
  return units <= kFew && left > 0 && left <= kWide / 2;
}

const CellKernels& kernels_for(const Input& input, const Direction& d) {
  const Kernels& k = kernels();
  const Tables& tables = k.narrow.float32 && narrow_pays(d.units) ? k.narrow : k.tables;
  const bool by_gate = (d.dropout && !d.same_dropout) || d.recurrent_dropout;
  const CellTable* table = !input.bfloat16 ? tables.float32 : by_gate ? tables.bfloat16_dropout : tables.bfloat16;
  return (*table)[d.cell];
}

// ------------------------------------------------------------------ scratch memory

// Grows to the largest call that its thread has made, so that calls do not pay for fresh pages.
class Arena {
 public:
  ~Arena() { std::free(memory_); }

  float* floats(int64_t count) {
    if (count > size_) {
      std::free(memory_);
      size_ = (count + kAlign - 1) / kAlign * kAlign;
      memory_ = static_cast<float*>(std::aligned_alloc(kAlign, size_ * sizeof(float)));
      if (!memory_) {
        size_ = 0;
        throw std::bad_alloc();
      }
    }
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(memory_, size_ * sizeof(float));  // what this call did not ask for is not its own
    __asan_poison_memory_region(memory_ + count, (size_ - count) * sizeof(float));
#endif
    return memory_;
  }

 private:
  static constexpr int64_t kAlign = 4096;
  float* memory_ = nullptr;
  int64_t size_ = 0;
};

// A size after which another array starts a cache line.
int64_t aligned(int64_t floats) { return (floats + 15) / 16 * 16; }

thread_local Arena scan_arena;    // a worker's own
thread_local Arena shared_arena;  // of the caller, for all that work on its call

// Asks for huge pages where much memory is about to be written, which may be fresh: the first touch of each page has a
// price. That the system does not give them is no error.
void ask_for_huge_pages(float* memory, int64_t count) {
  constexpr uintptr_t kHuge = 1 << 21;
  const uintptr_t first = (reinterpret_cast<uintptr_t>(memory) + kHuge - 1) / kHuge * kHuge;
  const uintptr_t last = reinterpret_cast<uintptr_t>(memory + count) / kHuge * kHuge;
  if (memory && last >= first + 2 * kHuge) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
}

// ------------------------------------------------------------------ sharing out

int64_t total_units(int directions, const Direction* direction) {
  int64_t units = 0;
  for (int i = 0; i < directions; ++i) units += direction[i].units;
  return units;
}

int64_t first_column(const Direction* direction, int i) { return total_units(i, direction); }

// Below this many multiplications a thread, waking it costs more than it saves.
constexpr int64_t kWorthAThread = 1 << 17;
constexpr int64_t kLeastRows = 4;  // of a block: panels are read for however few

// How many blocks of rows each direction is cut into: one where directions are enough for the threads. What comes out
// has the same bits for any number.
int64_t blocks_of(const Input& input, int directions, const Direction* direction, const Schedule& whole) {
  const int64_t columns = shape_of(direction[0].cell).gates * direction[0].units;
  const int64_t work = whole.total * columns * (input.features + direction[0].units);
  const int64_t wanted = threads() % directions == 0 ? threads() / directions : threads();
  return std::max<int64_t>(1, std::min({wanted, work / kWorthAThread, whole.batch / kLeastRows}));
}

bool worth_threads(const Input& input, const Direction& direction, const Schedule& whole) {
  const int64_t columns = shape_of(direction.cell).gates * direction.units;
  return whole.total * columns * (input.features + direction.units) >= kWorthAThread;
}

// Runs piece(direction, part) for all directions and parts, side by side if `parallel`.
void run_shares(bool parallel, int directions, int64_t parts, const std::function<void(int, int64_t)>& piece) {
  const int count = static_cast<int>(directions * parts);
  const auto run = [&](int k) { piece(k % directions, k / directions); };
  if (parallel) return run_pieces(count, run);
  for (int k = 0; k < count; ++k) run(k);
}

}  // namespace

int instruction_sets(const char** names) {
  int count = 0;
  for (const Kernels& k : all_kernels()) names[count++] = k.name;
  return count;
}

const char* instruction_set() { return kernels().name; }

bool set_instruction_set(const char* name) {
  for (const Kernels& k : all_kernels()) {
    if (std::strcmp(k.name, name) == 0) {
      chosen.store(&k);
      return true;
    }
  }
  return false;
}

int64_t packed_floats(const Input& input, const Direction& direction) {
  return kernels_for(input, direction).packed_floats(input, direction);
}

void pack(const Input& input, const Direction& direction, float* packed) {
  kernels_for(input, direction).pack(input, direction, {0, 1}, packed);
}

int64_t residual_floats(const Input& input, const Direction& direction) {
  return kernels_for(input, direction).residual_floats(input, direction);
}

void forward(const Input& input, int directions, const Direction* direction, float* outputs,
             const DirectionOutputs* results) {
  const WholeSchedule whole(input);
  const int64_t stride = total_units(directions, direction);
  const int64_t parts = blocks_of(input, directions, direction, whole.schedule);
  const Blocks blocks(whole.schedule, parts);
  Direction packed[kMaxDirections];
  const CellKernels* cells[kMaxDirections];
  int64_t room = 0;
  for (int i = 0; i < directions; ++i) {
    packed[i] = direction[i];
    cells[i] = &kernels_for(input, direction[i]);
    if (!direction[i].packed) room += aligned(cells[i]->packed_floats(input, direction[i]));
    if (results[i].residuals) ask_for_huge_pages(results[i].residuals, cells[i]->residual_floats(input, direction[i]));
  }
  if (blocks.size() > 1 && room) {
    // One set of packed weights for all blocks of a direction.
    float* memory = shared_arena.floats(room);
    float* weights[kMaxDirections] = {};
    for (int i = 0; i < directions; ++i) {
      if (direction[i].packed) continue;
      packed[i].packed = weights[i] = memory;
      memory += aligned(cells[i]->packed_floats(input, direction[i]));
    }
    run_shares(true, directions, blocks.size(), [&](int i, int64_t part) {
      if (weights[i]) cells[i]->pack(input, direction[i], {part, blocks.size()}, weights[i]);
    });
  }
  run_shares(worth_threads(input, direction[0], whole.schedule), directions, blocks.size(), [&](int i, int64_t part) {
    float* columns = outputs ? outputs + first_column(direction, i) : nullptr;
    ForwardJob job{&input, &whole.schedule, &blocks[part], &packed[i], columns, stride, &results[i], nullptr};
    job.scratch = scan_arena.floats(cells[i]->forward_scratch(job));
    cells[i]->forward(job);
  });
}

void backward(const Input& input, int directions, const Direction* direction, const float* d_outputs, float* d_x,
              const DirectionGradients* results) {
  const WholeSchedule whole(input);
  const int64_t stride = total_units(directions, direction);
  const int64_t x_floats = input.batch * input.time * input.features;
  const Blocks blocks(whole.schedule, blocks_of(input, directions, direction, whole.schedule));
  const bool parallel = worth_threads(input, direction[0], whole.schedule);
  BackwardJob jobs[kMaxDirections];
  const CellKernels* cells[kMaxDirections];
  int64_t room = 0;
  for (int i = 0; i < directions; ++i) {
    const float* columns = d_outputs ? d_outputs + first_column(direction, i) : nullptr;
    // Each direction writes a d_x of its own, and they are added in a fixed order: the same bits for any threads.
    jobs[i] = {&input, &whole.schedule, &whole.schedule, &direction[i], columns, stride,
               d_x,    &results[i],     nullptr,         nullptr};
    cells[i] = &kernels_for(input, direction[i]);
    room += aligned(cells[i]->backward_shared(jobs[i]));
  }
  float* memory = shared_arena.floats(room + (d_x && directions > 1 ? x_floats : 0));
  for (int i = 0; i < directions; ++i) {
    const int64_t shared = aligned(cells[i]->backward_shared(jobs[i]));
    jobs[i].shared = memory;
    memory += shared;
  }
  float* other_d_x = d_x && directions > 1 ? memory : nullptr;
  if (other_d_x) jobs[1].d_x = other_d_x;
  const auto scratch_for = [&](int i, BackwardJob job) {
    job.scratch = scan_arena.floats(cells[i]->backward_scratch(job));
    return job;
  };
  const int64_t parts = blocks.size();
  if (parts <= 1) {
    run_shares(parallel, directions, 1, [&](int i, int64_t) { cells[i]->backward(scratch_for(i, jobs[i])); });
  } else {
    run_shares(true, directions, parts, [&](int i, int64_t k) { cells[i]->begin_backward(jobs[i], {k, parts}); });
    run_shares(true, directions, parts, [&](int i, int64_t k) {
      BackwardJob job = jobs[i];
      job.block = &blocks[k];
      cells[i]->flow_back(scratch_for(i, job));
    });
    run_shares(true, directions, d_x ? 2 * parts : parts, [&](int i, int64_t k) {
      const BackwardJob job = scratch_for(i, jobs[i]);
      if (k < parts) return cells[i]->weight_gradient(job, {k, parts});
      cells[i]->input_gradient(job, {k - parts, parts});
    });
  }
  if (other_d_x) {
    run_shares(parts > 1, 1, parts, [&](int, int64_t k) {
      const Range range = Share{k, parts}.of(x_floats);
      for (int64_t i = range.first; i < range.last; ++i) d_x[i] += other_d_x[i];
    });
  }
}

}  // namespace bothways
