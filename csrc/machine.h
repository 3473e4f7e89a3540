// What the engine asks of the processor and of the system: a file for each kind of processor, one for Linux, and one
// for other systems.
#pragma once

#include <stdint.h>

#include <bitset>
#include <string>
#include <vector>

#include "kernels.h"

namespace bothways {

// The instruction sets that this process may use, best first; "base", which every processor of the kind runs, is last.
std::vector<Kernels> find_kernels();

// How arithmetic of a thread treats denormals and rounds. Threads that share a call do it as the caller does.
uint32_t float_mode();
void set_float_mode(uint32_t mode);

void pause_for_a_moment();  // in a loop that waits

// Folds blocks of kWords words into as many lanes, one after the other:
//   t = lane ^ word,  lane = (low half of t) * kLow + halves swapped of ((high half of t) * kHigh)
// Both halves are multiplied before the next word comes, so that what has changed in one word is not undone by a like
// change in the next.
constexpr int kWords = 16;
constexpr uint32_t kLow = 0x9e3779b1, kHigh = 0x85ebca77;
void fold(const char* from, int64_t blocks, uint64_t* lanes);

// ------------------------------------------------------------------ the system

// How many threads this process can use at once: the cores that it may run on, not counting one twice for its second
// thread, within the share of them that its control group gives it. Reads the files of the system below `root`.
int usable_cores(const std::string& root = "");

using Processors = std::bitset<1024>;
Processors allowed_processors();  // for this process; none where threads cannot be bound
int this_processor();             // where the calling thread runs; below 0 where the system does not say
int this_thread();                // the calling thread, to `bind_thread`; not 0
bool bind_thread(int thread, const Processors& to);

void after_fork(void (*in_child)());  // calls it in children of this process from now on

// Asks for huge pages where much memory is about to be written, which may be fresh: the first touch of each page has a
// price. That the system does not give them is no error.
void ask_for_huge_pages(float* memory, int64_t count);

bool call_system(long number, long first, long second);  // a call that only some kernels of Linux have

}  // namespace bothways
