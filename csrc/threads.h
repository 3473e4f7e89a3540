// A small pool of threads for work that comes in few, equal pieces.
#pragma once

#include <functional>

namespace bothways {

// Calls piece(0) ... piece(count - 1), side by side where threads are free, and returns when all are done. Calls from
// several threads at once are served one after the other by the pool, or run on their own thread: nobody waits.
void run_pieces(int count, const std::function<void(int)>& piece);

int threads();
void set_threads(int count);

}  // namespace bothways
