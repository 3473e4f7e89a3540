// NumPy arrays -> engine. The friendly checks are in Python (`bothways.engine.arguments`); those here only make
// sure that no call can reach memory that is not its own.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "bind_xla.h"
#include "engine.h"
#include "threads.h"

namespace nb = nanobind;

namespace bothways {
namespace {

constexpr int64_t kGates = 4;  // of an LSTM, whose states are h and c

using In = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Out = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Mask = nb::ndarray<const bool, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using OptionalIn = std::optional<In>;

// kernel, recurrent_kernel, bias, reverse, initial h, initial c
using DirectionTuple = std::tuple<In, In, OptionalIn, bool, OptionalIn, OptionalIn>;
// final h, final c, saved
using ResultTuple = std::tuple<Out, Out, std::optional<Out>>;
// saved, d_final h, d_final c, d_kernel, d_recurrent_kernel, d_bias, d_initial h, d_initial c
using GradientTuple = std::tuple<Out, OptionalIn, OptionalIn, Out, Out, Out, Out, Out>;

template <class Array>
auto pointer(const Array& array, int64_t size, const char* name) {
  if (static_cast<int64_t>(array.size()) != size) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(array.size()) + " elements; " +
                                std::to_string(size) + " are needed");
  }
  return array.data();
}

template <class Array>
auto pointer(const std::optional<Array>& array, int64_t size, const char* name) {
  return array ? pointer(*array, size, name) : nullptr;
}

Input input_of(const In& x, const std::optional<Mask>& mask, bool zero_output_for_mask) {
  if (x.ndim() != 3) throw std::invalid_argument("x needs 3 axes");
  Input input{};
  input.batch = static_cast<int64_t>(x.shape(0));
  input.time = static_cast<int64_t>(x.shape(1));
  input.features = static_cast<int64_t>(x.shape(2));
  input.x = x.data();
  input.mask = reinterpret_cast<const uint8_t*>(pointer(mask, input.batch * input.time, "mask"));
  input.zero_output_for_mask = zero_output_for_mask;
  return input;
}

std::vector<Direction> directions_of(const Input& input, const std::vector<DirectionTuple>& tuples, size_t results) {
  if (tuples.empty() || tuples.size() > kMaxDirections || tuples.size() != results) {
    throw std::invalid_argument("one or two directions are needed, and as many results");
  }
  std::vector<Direction> directions;
  for (const auto& [kernel, recurrent, bias, reverse, h, c] : tuples) {
    if (recurrent.ndim() != 2 || recurrent.shape(0) == 0) throw std::invalid_argument("recurrent_kernel needs 2 axes");
    const int64_t units = static_cast<int64_t>(recurrent.shape(0)), columns = kGates * units;
    const int64_t state = input.batch * units;
    directions.push_back({units,
                          reverse,
                          pointer(kernel, input.features * columns, "kernel"),
                          pointer(recurrent, units * columns, "recurrent_kernel"),
                          pointer(bias, columns, "bias"),
                          {pointer(h, state, "initial h"), pointer(c, state, "initial c")}});
  }
  return directions;
}

int64_t outputs_size(const Input& input, const std::vector<Direction>& directions) {
  int64_t units = 0;
  for (const Direction& d : directions) units += d.units;
  return input.batch * input.time * units;
}

int64_t saved_size(const Input& input, const Direction& d) {
  return saved_floats(input.batch, input.time, input.features, d.units);
}

void run_forward(const In& x, const std::optional<Mask>& mask, bool zero_output_for_mask,
                 const std::vector<DirectionTuple>& direction_tuples, const Out& outputs,
                 const std::vector<ResultTuple>& result_tuples) {
  const Input input = input_of(x, mask, zero_output_for_mask);
  const std::vector<Direction> directions = directions_of(input, direction_tuples, result_tuples.size());
  std::vector<DirectionOutputs> results;
  for (size_t i = 0; i < directions.size(); ++i) {
    const auto& [h, c, saved] = result_tuples[i];
    const int64_t state = input.batch * directions[i].units;
    results.push_back(
        {{pointer(h, state, "h"), pointer(c, state, "c")}, pointer(saved, saved_size(input, directions[i]), "saved")});
  }
  float* out = pointer(outputs, outputs_size(input, directions), "outputs");
  const nb::gil_scoped_release release;
  forward(input, static_cast<int>(directions.size()), directions.data(), out, results.data());
}

void run_backward(const In& x, const std::optional<Mask>& mask, bool zero_output_for_mask,
                  const std::vector<DirectionTuple>& direction_tuples, const In& d_outputs, const Out& d_x,
                  const std::vector<GradientTuple>& gradient_tuples) {
  const Input input = input_of(x, mask, zero_output_for_mask);
  const std::vector<Direction> directions = directions_of(input, direction_tuples, gradient_tuples.size());
  std::vector<DirectionGradients> results;
  for (size_t i = 0; i < directions.size(); ++i) {
    const auto& [saved, d_h, d_c, d_kernel, d_recurrent, d_bias, d_h0, d_c0] = gradient_tuples[i];
    const int64_t units = directions[i].units, state = input.batch * units, columns = kGates * units;
    results.push_back({pointer(saved, saved_size(input, directions[i]), "saved"),
                       {pointer(d_h, state, "d_h"), pointer(d_c, state, "d_c")},
                       pointer(d_kernel, input.features * columns, "d_kernel"),
                       pointer(d_recurrent, units * columns, "d_recurrent_kernel"),
                       pointer(d_bias, columns, "d_bias"),
                       {pointer(d_h0, state, "d_initial h"), pointer(d_c0, state, "d_initial c")}});
  }
  const float* d_out = pointer(d_outputs, outputs_size(input, directions), "d_outputs");
  float* d_input = pointer(d_x, input.batch * input.time * input.features, "d_x");
  const nb::gil_scoped_release release;
  backward(input, static_cast<int>(directions.size()), directions.data(), d_out, d_input, results.data());
}

}  // namespace

NB_MODULE(_native, m) {
  m.def("forward", &run_forward, nb::arg("x"), nb::arg("mask").none(), nb::arg("zero_output_for_mask"),
        nb::arg("directions"), nb::arg("outputs"), nb::arg("results"));
  m.def("backward", &run_backward, nb::arg("x"), nb::arg("mask").none(), nb::arg("zero_output_for_mask"),
        nb::arg("directions"), nb::arg("d_outputs"), nb::arg("d_x"), nb::arg("gradients"));
  m.def("saved_floats", &saved_floats, nb::arg("batch"), nb::arg("time"), nb::arg("features"), nb::arg("units"));
  m.def("instruction_sets", [] {
    const char* names[3];
    const int count = instruction_sets(names);
    return std::vector<std::string>(names, names + count);
  });
  m.def("instruction_set", [] { return std::string(instruction_set()); });
  m.def(
      "set_instruction_set", [](const std::string& name) { return set_instruction_set(name.c_str()); },
      nb::arg("name"));
  m.def("threads", &threads);
  m.def("set_threads", &set_threads, nb::arg("count"));
  m.def("xla_handlers", &xla_handlers);
}

}  // namespace bothways
