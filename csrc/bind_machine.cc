#include "bind_machine.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>
#include <vector>

#include "arrays.h"
#include "engine.h"
#include "machine.h"
#include "packs.h"
#include "threads.h"

namespace bothways {

void bind_machine(nb::module_& m) {
  m.def(
      "digest",
      [](nb::handle arrays) {
        const Items items(arrays);
        std::vector<Floats> floats(items.size());
        for (int64_t i = 0; i < items.size(); ++i) {
          const Array array = array_of(items[i], "f", kRead, "an array");
          floats[i] = {static_cast<const float*>(array.data), array.size};
        }
        const nb::gil_scoped_release release;
        const Digest found = digest_of(floats.data(), items.size());
        return std::make_pair(found.words[0], found.words[1]);
      },
      nb::arg("arrays"));
  m.def("instruction_sets", [] {
    const char* names[5];
    const int count = instruction_sets(names);
    return std::vector<std::string>(names, names + count);
  });
  m.def("instruction_set", [] { return std::string(instruction_set()); });
  m.def(
      "set_instruction_set", [](const std::string& name) { return set_instruction_set(name.c_str()); },
      nb::arg("name"));
  m.def("threads", &threads);
  m.def("set_threads", &set_threads, nb::arg("count"));
  m.def("usable_cores", &usable_cores, nb::arg("root") = "");
  m.def(
      "rehearse",
      [](const nb::callable& call) {
        const Rehearsal made = rehearse([&] { call(); });
        return nb::make_tuple(made.rounds, made.waits);
      },
      nb::arg("call"));
  m.def("seconds_to_meet", &seconds_to_meet, nb::arg("members"));
}

}  // namespace bothways
