// A small pool of threads for work that comes in few, equal pieces.
#pragma once

#include <atomic>
#include <functional>
#include <utility>
#include <vector>

namespace bothways {

// Calls piece(0) ... piece(count - 1), side by side where threads are free, and returns when all are done. The caller
// works as well. Callers on several threads share the helpers, and nobody waits for another's call.
void run_pieces(int count, const std::function<void(int)>& piece);

// Calls work(member, members) on all threads that come within a moment, the caller's among them, at most `most`: they
// run at the same time, and may wait for one another at a barrier.
void run_team(int most, const std::function<void(int, int)>& work);

// What a call would give its threads: for each round of pieces the seconds of each, one after the other on the thread
// of the caller, and how often a thread of a team would wait for the others. The results of such a call are void.
struct Rehearsal {
  std::vector<std::vector<double>> rounds;
  int64_t waits = 0;
};
Rehearsal rehearse(const std::function<void()>& call);

class Barrier {
 private:
  friend bool wait(Barrier& barrier, int64_t members, bool may_part);

  alignas(64) std::atomic<int64_t> arrived_{0};
  alignas(64) std::atomic<int64_t> round_{0};
  std::atomic<bool> late_{false};
  bool parted_ = false;
};

// Whether a team parted lately: other work takes the processors, and a team would wait at every turn.
bool crowded();

// What it takes a team of at most so many threads to meet at a barrier, and how many came.
std::pair<double, int> seconds_to_meet(int members);

// Gives back what the calling thread has kept for its next piece. Those whose pieces keep memory define it.
void give_back_memory();

int threads();
void set_threads(int count);

}  // namespace bothways
