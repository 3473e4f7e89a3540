#include "engine.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "blocks.h"
#include "kernels.h"
#include "machine.h"
#include "packs.h"
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

const CellTable& table_for(const Input& input, const Direction& d) {
  const Kernels& k = kernels();
  const Tables& tables = k.narrow.float32 && narrow_pays(d.units) ? k.narrow : k.tables;
  if (input.precision == Precision::kInt8) return *tables.int8;
  const bool by_gate = (d.dropout && !d.same_dropout) || d.recurrent_dropout;
  const bool bfloat16 = input.precision == Precision::kBfloat16;
  return *(!bfloat16 ? tables.float32 : by_gate ? tables.bfloat16_dropout : tables.bfloat16);
}

const CellKernels& kernels_for(const Input& input, const Direction& d) { return table_for(input, d)[d.cell]; }

// Residuals start with a line that says which kernels left them: to others their layout means something else.
constexpr int64_t kTagFloats = 16;

uint32_t tag_of(const CellTable& table) {
  uint32_t tag = 0x62770001;  // "bw" and a number
  for (const Kernels& k : all_kernels()) {
    for (const Tables& t : {k.tables, k.narrow}) {
      for (const CellTable* each : {t.float32, t.bfloat16, t.bfloat16_dropout, t.int8}) {
        if (each == &table) return tag;
        ++tag;
      }
    }
  }
  return tag;
}

// ------------------------------------------------------------------ scratch memory

// Keeps its memory from call to call, so that calls do not pay for fresh pages; but no more than kKept of it, and
// threads of the pool none while there is nothing to do.
class Arena {
 public:
  ~Arena() { release(); }

  float* floats(int64_t count) {
    if (count > size_) {
      release();
      const int64_t size = (count + kFloats - 1) / kFloats * kFloats;
      memory_ = static_cast<float*>(::operator new(size * sizeof(float), kPage));
      size_ = size;
    }
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(memory_, size_ * sizeof(float));  // what this call did not ask for is not its own
    __asan_poison_memory_region(memory_ + count, (size_ - count) * sizeof(float));
#endif
    return memory_;
  }

  void give_back() {
    if (size_ > kKept) release();
  }

  void release() {
    ::operator delete(memory_, kPage);
    memory_ = nullptr;
    size_ = 0;
  }

 private:
  static constexpr std::align_val_t kPage{4096};
  static constexpr int64_t kFloats = 1024;   // of a page
  static constexpr int64_t kKept = 1 << 23;  // 32 MB
  float* memory_ = nullptr;
  int64_t size_ = 0;
};

// Memory of an arena until the end of a piece of work.
class Loan {
 public:
  explicit Loan(Arena& arena) : arena_(arena) {}
  ~Loan() { arena_.give_back(); }
  float* floats(int64_t count) { return arena_.floats(count); }

 private:
  Arena& arena_;
};

// A size after which another array starts a cache line.
int64_t aligned(int64_t floats) { return (floats + 15) / 16 * 16; }

thread_local Arena scan_arena;    // a worker's own
thread_local Arena shared_arena;  // of the caller, for all that work on its call

// ------------------------------------------------------------------ sharing out

// The least work of a thread, in multiplications: below it, waking it costs more than it saves; in a team it has to
// come at once, and to wait for the others in every turn.
constexpr int64_t kWorthAThread = 1 << 17, kWorthATeam = 1 << 20, kWorthATurn = 1 << 15;
constexpr int64_t kLeastRows = 4;  // of a block: panels are read for however few

// The least units of a member of a team: a panel, or a panel of columns.
constexpr int64_t kForwardUnits = 16, kBackwardUnits = 64;

// How the time loops of a call are cut: each direction into blocks of rows, or shared by a team of threads, each with
// some of the units. What comes out has the same bits for any cut.
struct Cut {
  int64_t blocks = 1, team = 1;
  int64_t parts() const { return std::max(blocks, team); }
};

// The work of a direction, in multiplications.
int64_t work_of(const Input& input, const Direction& direction, const Schedule& whole) {
  const Sizes sizes = sizes_of(input, direction);
  return whole.total * (sizes.kernel + sizes.recurrent_kernel);
}

// Blocks where there are rows enough for all threads; else, of many units, a team.
Cut cut_of(const Call& call, const Schedule& whole, int64_t least_units) {
  const int64_t units = call.directions[0].units, work = work_of(call.input, call.directions[0], whole);
  const int64_t wanted = threads() % call.count == 0 ? threads() / call.count : threads();
  const int64_t blocks = std::min(wanted, whole.batch / kLeastRows);
  const int64_t of_turn = work / std::max<int64_t>(1, whole.turns);
  const int64_t team = std::min(
      {static_cast<int64_t>(threads()) / call.count, work / kWorthATeam, of_turn / kWorthATurn, units / least_units});
  if (team > 1 && team > blocks && !crowded()) return {1, team};
  return {std::max<int64_t>(1, std::min(blocks, work / kWorthAThread)), 1};
}

// Runs piece(direction, part) for all of `count` directions and of the parts, side by side if `parallel`.
void run_shares(bool parallel, int count, int64_t parts, const std::function<void(int, int64_t)>& piece) {
  const int pieces = static_cast<int>(count * parts);
  const auto run = [&](int k) { piece(k % count, k / count); };
  if (parallel) return run_pieces(pieces, run);
  for (int k = 0; k < pieces; ++k) run(k);
}

// Where packing would be much of a forward pass. Not of weights that are about to change, after a backward pass, nor of
// more than there is room for.
bool worth_keeping(const Input& input, const Direction& direction, const Schedule& whole,
                   const DirectionOutputs* results, int64_t floats) {
  if (results[0].residuals || floats > kMostPacked) return false;
  return direction.digest || wants_digest(whole.total, floats, input.precision);
}

// Goes through the time loops of `count` directions, with a team for each: loop(direction, member).
void run_teams(int count, int64_t team, const std::function<void(int, const Member&)>& loop) {
  Barrier barriers[kMaxDirections];
  run_team(static_cast<int>(count * team), [&](int member, int members) {
    const int i = member % count;
    if (members >= count) return loop(i, {{member / count, (members - i + count - 1) / count}, &barriers[i]});
    for (int k = 0; k < count; ++k) loop(k, {});
  });
}

}  // namespace

void give_back_memory() {
  scan_arena.release();
  shared_arena.release();
}

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
  return kTagFloats + kernels_for(input, direction).residual_floats(input, direction);
}

bool readable(const Input& input, const Direction& direction, const float* residuals) {
  uint32_t tag;
  std::memcpy(&tag, residuals, sizeof(tag));
  return tag == tag_of(table_for(input, direction));
}

void forward(const Call& call, float* outputs, const DirectionOutputs* results) {
  const Input& input = call.input;
  const Direction* directions = call.directions;
  const WholeSchedule whole(input);
  const int64_t stride = total_units(directions, call.count);
  const bool parallel = work_of(input, directions[0], whole.schedule) >= kWorthAThread;
  const Cut cut = cut_of(call, whole.schedule, kForwardUnits);
  const Blocks blocks(whole.schedule, cut.blocks);
  Direction packed[kMaxDirections];
  DirectionOutputs left[kMaxDirections];
  const CellKernels* cells[kMaxDirections];
  int64_t pack_floats[kMaxDirections] = {}, team_floats[kMaxDirections] = {}, to_pack = 0, room = 0;
  const auto job_for = [&](int i, const Schedule& block) {
    float* columns = outputs ? outputs + total_units(directions, i) : nullptr;
    return ForwardJob{&input, &whole.schedule, &block, &packed[i], columns, stride, &left[i], nullptr, {}};
  };
  for (int i = 0; i < call.count; ++i) {
    packed[i] = directions[i];
    cells[i] = &kernels_for(input, directions[i]);
    left[i] = results[i];
    if (results[i].residuals) {
      ask_for_huge_pages(results[i].residuals, residual_floats(input, directions[i]));
      const uint32_t tag = tag_of(table_for(input, directions[i]));
      std::memcpy(results[i].residuals, &tag, sizeof(tag));
      left[i].residuals += kTagFloats;
    }
    if (!directions[i].packed) pack_floats[i] = aligned(cells[i]->packed_floats(input, directions[i]));
    to_pack += pack_floats[i];
  }
  // One set of packed weights for all that work on a direction; where each direction has but one thread, that packs.
  Pack packs[kMaxDirections];
  PackKey keys[kMaxDirections];
  float* to[kMaxDirections] = {};
  const bool keeps = worth_keeping(input, directions[0], whole.schedule, results, to_pack),
             together = keeps || cut.parts() > 1;
  if (keeps) {
    run_shares(parallel, call.count, 1, [&](int i, int64_t) {
      if (pack_floats[i]) keys[i] = key_of(tag_of(table_for(input, directions[i])), input, directions[i]);
    });
  }
  for (int i = 0; i < call.count; ++i) {
    if (keeps && pack_floats[i]) {
      packs[i] = find_pack(keys[i]);
      if (!packs[i]) to[i] = (packs[i] = new_pack(pack_floats[i])).get();
      packed[i].packed = packs[i].get();
    } else if (together) {
      room += pack_floats[i];
    }
    if (cut.team > 1) team_floats[i] = aligned(cells[i]->forward_scratch(job_for(i, whole.schedule)));
    room += team_floats[i];
  }
  Loan shared(shared_arena);
  float* memory = room ? shared.floats(room) : nullptr;
  float* team_scratch[kMaxDirections];
  for (int i = 0; i < call.count; ++i) {
    if (together && !packed[i].packed) {
      packed[i].packed = to[i] = memory;
      memory += pack_floats[i];
    }
    team_scratch[i] = memory;
    memory += team_floats[i];
  }
  if (to[0] || to[call.count - 1]) {
    run_shares(parallel, call.count, cut.parts(), [&](int i, int64_t part) {
      if (to[i]) cells[i]->pack(input, directions[i], {part, cut.parts()}, to[i]);
    });
  }
  for (int i = 0; i < call.count; ++i) {
    if (packs[i] && to[i]) keep_pack(keys[i], packs[i], pack_floats[i]);
  }
  if (cut.team > 1) {
    return run_teams(call.count, cut.team, [&](int i, const Member& member) {
      ForwardJob job = job_for(i, whole.schedule);
      job.scratch = team_scratch[i];
      job.member = member;
      cells[i]->forward(job);
    });
  }
  run_shares(parallel, call.count, blocks.size(), [&](int i, int64_t part) {
    ForwardJob job = job_for(i, blocks[part]);
    Loan own(scan_arena);
    job.scratch = own.floats(cells[i]->forward_scratch(job));
    cells[i]->forward(job);
  });
}

void backward(const Call& call, const float* d_outputs, float* d_x, const DirectionGradients* results) {
  const Input& input = call.input;
  const Direction* directions = call.directions;
  const WholeSchedule whole(input);
  const int64_t stride = total_units(directions, call.count);
  const int64_t x_floats = x_size(input);
  const Cut cut = cut_of(call, whole.schedule, kBackwardUnits);
  const Blocks blocks(whole.schedule, cut.blocks);
  const int64_t parts = cut.team > 1 ? cut.team : blocks.size();
  BackwardJob jobs[kMaxDirections];
  DirectionGradients left[kMaxDirections];
  const CellKernels* cells[kMaxDirections];
  int64_t shared_floats[kMaxDirections], team_floats[kMaxDirections] = {}, room = 0;
  for (int i = 0; i < call.count; ++i) {
    const float* columns = d_outputs ? d_outputs + total_units(directions, i) : nullptr;
    left[i] = results[i];
    left[i].residuals += kTagFloats;
    jobs[i] = {&input, &whole.schedule, &whole.schedule, &directions[i], columns, stride,
               d_x,    &left[i],        nullptr,         nullptr,        {}};
    cells[i] = &kernels_for(input, directions[i]);
    shared_floats[i] = aligned(cells[i]->backward_shared(jobs[i]));
    if (cut.team > 1) team_floats[i] = aligned(cells[i]->backward_scratch(jobs[i]));
    room += shared_floats[i] + team_floats[i];
  }
  // Each direction writes a d_x of its own, and they are added in a fixed order: the same bits for any threads.
  Loan shared(shared_arena);
  float* memory = shared.floats(room + (d_x && call.count > 1 ? x_floats : 0));
  float* team_scratch[kMaxDirections];
  for (int i = 0; i < call.count; ++i) {
    jobs[i].shared = memory;
    team_scratch[i] = memory + shared_floats[i];
    memory = team_scratch[i] + team_floats[i];
  }
  float* other_d_x = d_x && call.count > 1 ? memory : nullptr;
  if (other_d_x) jobs[1].d_x = other_d_x;
  const auto with_scratch = [&](int i, BackwardJob job, const auto& work) {
    Loan own(scan_arena);
    job.scratch = own.floats(cells[i]->backward_scratch(job));
    work(job);
  };
  if (parts <= 1) {
    const bool parallel = work_of(input, directions[0], whole.schedule) >= kWorthAThread;
    run_shares(parallel, call.count, 1, [&](int i, int64_t) { with_scratch(i, jobs[i], cells[i]->backward); });
  } else {
    run_shares(true, call.count, parts, [&](int i, int64_t k) { cells[i]->begin_backward(jobs[i], {k, parts}); });
    if (cut.team > 1) {
      run_teams(call.count, cut.team, [&](int i, const Member& member) {
        BackwardJob job = jobs[i];
        job.scratch = team_scratch[i];
        job.member = member;
        cells[i]->flow_back(job);
      });
    } else {
      run_shares(true, call.count, parts, [&](int i, int64_t k) {
        BackwardJob job = jobs[i];
        job.block = &blocks[k];
        with_scratch(i, job, cells[i]->flow_back);
      });
    }
    run_shares(true, call.count, d_x ? 2 * parts : parts, [&](int i, int64_t k) {
      with_scratch(i, jobs[i], [&](const BackwardJob& job) {
        if (k < parts) return cells[i]->weight_gradient(job, {k, parts});
        cells[i]->input_gradient(job, {k - parts, parts});
      });
    });
  }
  run_shares(parts > 1, call.count, parts, [&](int i, int64_t k) {
    if (parts > 1) cells[i]->end_backward(jobs[i], {k, parts});
    const Range range = Share{k * call.count + i, parts * call.count}.of(other_d_x ? x_floats : 0);
    for (int64_t at = range.first; at < range.last; ++at) d_x[at] += other_d_x[at];
  });
}

}  // namespace bothways
