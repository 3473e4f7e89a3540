// What the engine asks of the processor and of the system: a file a kind of processor, one for Linux.
#pragma once

#include <stdint.h>

#include <vector>

#include "kernels.h"

namespace bothways {

// The instruction sets that this process may use, best first; "base", which every processor of the kind runs, is last.
std::vector<Kernels> find_kernels();

// How arithmetic of a thread treats denormals and rounds. Threads that share a call do it as the caller does.
uint32_t float_mode();
void set_float_mode(uint32_t mode);

void pause_for_a_moment();  // in a loop that waits

// How many threads this process can use at once: the cores that it may run on, not counting one twice for its second
// thread, within the share of them that its control group gives it.
int usable_cores();

}  // namespace bothways
