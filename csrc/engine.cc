#include "engine.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "blocks.h"
#include "kernels.h"
#include "machine.h"
#include "packs.h"
#include "scratch.h"
#include "threads.h"

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

// The work of a direction, in multiplications. Numbers that enter through bins have two rows of the kernel each.
int64_t work_of(const Input& input, const Direction& direction, const Schedule& whole) {
  const Sizes sizes = sizes_of(input, direction);
  return whole.total * ((x_columns(input) + input.bins.numbers) * sizes.columns + sizes.recurrent_kernel);
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

// A direction in a forward pass.
struct Pass {
  Direction direction;       // with its packed weights, as soon as there are any
  DirectionOutputs results;  // the residuals behind their tag
  const CellKernels* cells = nullptr;
  int64_t pack_floats = 0;  // 0: the caller has packed the weights
  float* to = nullptr;      // where this call packs them, or null
  PackKey key;              // of `kept`
  Pack kept;                // packed weights that outlive the call, or null
};

Pass pass_of(const Input& input, const Direction& direction, const DirectionOutputs& results) {
  Pass pass;
  pass.direction = direction;
  pass.results = results;
  pass.cells = &kernels_for(input, direction);
  if (results.residuals) {
    ask_for_huge_pages(results.residuals, residual_floats(input, direction));
    const uint32_t tag = tag_of(table_for(input, direction));
    std::memcpy(results.residuals, &tag, sizeof(tag));
    pass.results.residuals += kTagFloats;
  }
  if (!direction.packed) pass.pack_floats = aligned(pass.cells->packed_floats(input, direction));
  return pass;
}

// Weights that an earlier call packed, or memory that later calls will find.
void find_packs(const Input& input, Pass* passes, int count, bool parallel) {
  run_shares(parallel, count, 1, [&](int i, int64_t) {
    Pass& pass = passes[i];
    if (pass.pack_floats) pass.key = key_of(tag_of(table_for(input, pass.direction)), input, pass.direction);
  });
  for (Pass* pass = passes; pass != passes + count; ++pass) {
    if (!pass->pack_floats) continue;
    pass->kept = find_pack(pass->key);
    if (!pass->kept) pass->to = (pass->kept = new_pack(pass->pack_floats)).get();
    pass->direction.packed = pass->kept.get();
  }
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
  const WholeSchedule whole(input);
  const bool parallel = work_of(input, call.directions[0], whole.schedule) >= kWorthAThread;
  const Cut cut = cut_of(call, whole.schedule, kForwardUnits);
  const Blocks blocks(whole.schedule, cut.blocks);
  Pass passes[kMaxDirections];
  const auto job_for = [&](int i, const Schedule& block) {
    const Pass& pass = passes[i];
    float* columns = outputs ? outputs + total_units(call.directions, i) : nullptr;
    const int64_t stride = total_units(call.directions, call.count);
    return ForwardJob{&input, &whole.schedule, &block, &pass.direction, columns, stride, &pass.results, nullptr, {}};
  };
  int64_t to_pack = 0;
  for (int i = 0; i < call.count; ++i) {
    passes[i] = pass_of(input, call.directions[i], results[i]);
    to_pack += passes[i].pack_floats;
  }
  const bool keeps = worth_keeping(input, call.directions[0], whole.schedule, results, to_pack);
  if (keeps) find_packs(input, passes, call.count, parallel);
  // One set of packed weights for all that work on a direction; where each direction has but one thread, that packs.
  const bool together = keeps || cut.parts() > 1;
  int64_t room = 0, own_floats[kMaxDirections], team_floats[kMaxDirections];
  for (int i = 0; i < call.count; ++i) {
    own_floats[i] = together && !passes[i].direction.packed ? passes[i].pack_floats : 0;
    team_floats[i] = cut.team > 1 ? aligned(passes[i].cells->forward_scratch(job_for(i, whole.schedule))) : 0;
    room += own_floats[i] + team_floats[i];
  }
  Loan shared(shared_arena);
  float* memory = room ? shared.floats(room) : nullptr;
  float* team_scratch[kMaxDirections];
  bool packs = false;
  for (int i = 0; i < call.count; ++i) {
    Pass& pass = passes[i];
    if (own_floats[i]) pass.direction.packed = pass.to = memory;
    team_scratch[i] = memory + own_floats[i];
    memory = team_scratch[i] + team_floats[i];
    packs = packs || pass.to;
  }
  if (packs) {
    run_shares(parallel, call.count, cut.parts(), [&](int i, int64_t part) {
      if (passes[i].to) passes[i].cells->pack(input, call.directions[i], {part, cut.parts()}, passes[i].to);
    });
  }
  for (const Pass& pass : passes) {
    if (pass.kept && pass.to) keep_pack(pass.key, pass.kept, pass.pack_floats);
  }
  if (cut.team > 1) {
    return run_teams(call.count, cut.team, [&](int i, const Member& member) {
      ForwardJob job = job_for(i, whole.schedule);
      job.scratch = team_scratch[i];
      job.member = member;
      passes[i].cells->forward(job);
    });
  }
  run_shares(parallel, call.count, blocks.size(), [&](int i, int64_t part) {
    ForwardJob job = job_for(i, blocks[part]);
    Loan own(scan_arena);
    job.scratch = own.floats(passes[i].cells->forward_scratch(job));
    passes[i].cells->forward(job);
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
