// A small pool of threads for work that comes in few, equal pieces.
#pragma once

#include <functional>

namespace bothways {

// Calls piece(0) ... piece(count - 1), side by side where threads are free, and returns when all are done. The caller
// works as well. Callers on several threads share the helpers, and nobody waits for another's call.
void run_pieces(int count, const std::function<void(int)>& piece);

int threads();
void set_threads(int count);

}  // namespace bothways
