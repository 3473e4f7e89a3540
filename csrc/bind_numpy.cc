// NumPy arrays -> engine. The friendly checks are in Python (`bothways.engine.arguments`); those here only make
// sure that no call can reach memory that is not its own.

#include <nanobind/nanobind.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "arrays.h"
#include "bind_machine.h"
#include "bind_xla.h"
#include "engine.h"

namespace bothways {
namespace {

// ------------------------------------------------------------------ a call

// The states of one direction: an array each, or none at all for null pointers.
template <class Pointer>
void set_states(Pointer* to, nb::handle arrays, const Direction& d, int64_t batch, Access access) {
  if (arrays.is_none() || Items(arrays).size() == 0) return;
  const int states = shape_of(d.cell).states;
  const Items items(arrays, states, "a list of states");
  for (int i = 0; i < states; ++i) {
    to[i] = static_cast<Pointer>(matrix(items[i], batch, d.units, "f", access, "a state"));
  }
}

int64_t residuals_size(const Input& input, const Direction& d) {
  must_have_gradients(input);
  return residual_floats(input, d);
}

// A pair of arrays, each (gates, batch, width) or None, that of x also (1, batch, features); or None for neither.
void set_dropout(Direction& d, const Input& input, nb::handle pair) {
  if (pair.is_none()) return;
  must_have_gradients(input);
  const Items arrays(pair, 2, "dropout");
  d.same_dropout = !arrays[0].is_none() && array_of(arrays[0], "f", kRead, "dropout").shape[0] == 1;
  const Sizes sizes = sizes_of(input, d);
  d.dropout = read(arrays[0], sizes.dropout, "dropout");
  d.recurrent_dropout = read(arrays[1], sizes.recurrent_dropout, "recurrent_dropout");
}

void set_gradients(DirectionGradients& to, const Input& input, const Direction& d, nb::handle kernel,
                   nb::handle recurrent_kernel, nb::handle bias, nb::handle initial_states) {
  const Sizes sizes = sizes_of(input, d);
  to.d_kernel = must_write(kernel, sizes.kernel, "d_kernel");
  to.d_recurrent_kernel = must_write(recurrent_kernel, sizes.recurrent_kernel, "d_recurrent_kernel");
  to.d_bias = must_write(bias, sizes.bias, "d_bias");
  set_states(to.d_initial_states, initial_states, d, input.batch, kWrite);
}

void run_forward(const Call& call, nb::handle outputs, const DirectionOutputs* results) {
  float* out = write(outputs, outputs_size(call), "outputs");
  const nb::gil_scoped_release release;
  forward(call, out, results);
}

void run_backward(const Call& call, nb::handle d_outputs, nb::handle d_x, const DirectionGradients* results) {
  const float* d_out = read(d_outputs, outputs_size(call), "d_outputs");
  float* d_input = write(d_x, x_size(call.input), "d_x");
  for (int i = 0; i < call.count; ++i) {
    if (readable(call.input, call.directions[i], results[i].residuals)) continue;
    throw std::invalid_argument(std::string("the residuals were left by another instruction set than ") +
                                instruction_set() + ", which is in use now: choose it before the forward pass");
  }
  const nb::gil_scoped_release release;
  backward(call, d_out, d_input, results);
}

// ------------------------------------------------------------------ a layer

// The weights of a layer, checked once. It holds the arrays, and reads them where they are.
class Weights {
 public:
  // A direction is a tuple of cell, kernel, recurrent_kernel, bias (or None) and reverse; what follows is left alone.
  // `bins` is None, or the centers and the slopes of `Bins`, (2, bins, numbers).
  Weights(nb::handle directions, bool zero_output_for_mask, int precision, nb::handle bins = nb::none())
      : zero_output_for_mask_(zero_output_for_mask), precision_(precision_of(precision)) {
    const Items each(directions);
    if (each.size() < 1 || each.size() > kMaxDirections)
      throw std::invalid_argument("one or two directions are needed");
    for (int64_t i = 0; i < each.size(); ++i) add(Items(each[i]));
    if (!bins.is_none()) set_bins(bins);
  }

  // Takes the weights as they are now, laid out for forward passes: changes of the arrays count no more.
  void freeze() {
    const Input input = this->input(0, 0);
    packed_for_ = instruction_set();
    for (int i = 0; i < count_; ++i) {
      directions_[i].packed = nullptr;
      packed_[i].reset(
          static_cast<float*>(std::aligned_alloc(64, (packed_floats(input, directions_[i]) * 4 + 63) / 64 * 64)));
      if (!packed_[i]) throw std::bad_alloc();
      pack(input, directions_[i], packed_[i].get());
      directions_[i].packed = packed_[i].get();
    }
  }

  Call call(nb::handle x, nb::handle mask, nb::handle initial_states, nb::handle dropout = nb::none(),
            bool time_major = false) const {
    const Array array = array_of(x, "f", kRead, "x");
    const int64_t columns = x_columns(input(0, 0));
    if (array.axes != 3 || array.shape[2] != columns) {
      throw std::invalid_argument("x needs 3 axes, the last of " + std::to_string(columns));
    }
    const int64_t batch = array.shape[time_major], time = array.shape[!time_major];
    for (int i = 0; i < count_; ++i) {
      if (!countable(batch, time, features_, directions_[i].units))
        throw std::invalid_argument("the call is too large");
    }
    const void* counts = matrix(mask, batch, time, "?", kRead, "mask");
    Call call{input(batch, time), count_, {}};
    call.input.x = static_cast<const float*>(array.data);
    call.input.mask = static_cast<const uint8_t*>(counts);
    call.input.time_major = time_major;
    // Under dropout other kernels may run, which want another layout.
    const bool packed = packed_for_ == instruction_set() && dropout.is_none();
    for (int i = 0; i < count_; ++i) {
      call.directions[i] = directions_[i];
      if (!packed) call.directions[i].packed = nullptr;
    }
    if (!dropout.is_none()) {
      must_have_no_bins();
      const Items each(dropout, count_, "dropout");
      for (int i = 0; i < count_; ++i) set_dropout(call.directions[i], call.input, each[i]);
    }
    if (!initial_states.is_none()) {
      const Items each(initial_states, count_, "initial_states");
      for (int i = 0; i < count_; ++i) {
        set_states(call.directions[i].initial_states, each[i], directions_[i], batch, kRead);
      }
    }
    return call;
  }

  // How many floats of residuals a recorded run leaves; the largest number that any dropout asks for, if there is some.
  int64_t residual_floats(int64_t batch, int64_t time, bool dropout) const {
    int64_t size = 0;
    for (int i = 0; i < count_; ++i) {
      Direction d = directions_[i];
      const int64_t without = residual_floats(input(batch, time), d);
      if (dropout) d.dropout = d.recurrent_dropout = d.kernel;  // that there is some is all that is asked
      size += std::max(without, residual_floats(input(batch, time), d));
    }
    return size;
  }

  nb::object outputs(nb::handle x, nb::handle mask, nb::handle initial_states) const {
    const Call call = this->call(x, mask, initial_states);
    const DirectionOutputs results[kMaxDirections] = {};
    nb::object outputs = empty_outputs(call);
    run_forward(call, outputs, results);
    return outputs;
  }

  // Writes to `outputs` and to the final states of each direction.
  void fill(nb::handle x, nb::handle mask, nb::handle initial_states, nb::handle outputs, nb::handle final_states,
            bool time_major) const {
    const Call call = this->call(x, mask, initial_states, nb::none(), time_major);
    DirectionOutputs results[kMaxDirections] = {};
    const Items each(final_states, count_, "final_states");
    for (int i = 0; i < count_; ++i) {
      set_states(results[i].final_states, each[i], call.directions[i], call.input.batch, kWrite);
    }
    run_forward(call, outputs, results);
  }

  // Outputs, and for each direction a tuple of its final states. `residuals` may be None.
  nb::tuple run(nb::handle x, nb::handle mask, nb::handle initial_states, nb::handle dropout,
                nb::handle residuals) const {
    const Call call = this->call(x, mask, initial_states, dropout);
    DirectionOutputs results[kMaxDirections] = {};
    if (!residuals.is_none()) set_residuals(results, call, residuals);
    nb::object outputs = empty_outputs(call);
    nb::tuple states = tuple_of(count_, [&](int64_t i) {
      nb::tuple of = empty_states(call, i);
      set_states(results[i].final_states, of, call.directions[i], call.input.batch, kWrite);
      return of;
    });
    run_forward(call, outputs, results);
    return nb::make_tuple(outputs, states);
  }

  // d_x, and for each direction a tuple of d_kernel, d_recurrent_kernel, d_bias and the tuple of its d_initial states.
  nb::tuple backward(nb::handle x, nb::handle mask, nb::handle initial_states, nb::handle dropout, nb::handle d_outputs,
                     nb::handle d_states, nb::handle residuals) const {
    const Call call = this->call(x, mask, initial_states, dropout);
    const Items d_final(d_states, count_, "d_states");
    DirectionGradients results[kMaxDirections] = {};
    set_residuals(results, call, residuals);
    nb::object d_x = empty(call.input.batch, call.input.time, features_);
    nb::tuple gradients = tuple_of(count_, [&](int64_t i) {
      const Direction& d = call.directions[i];
      const int64_t columns = sizes_of(call.input, d).columns, biases = shape_of(d.cell).biases;
      nb::object kernel = empty(features_, columns), recurrent_kernel = empty(d.units, columns);
      nb::object bias = biases == 1 ? empty(columns) : empty(biases, columns);
      nb::tuple states = empty_states(call, i);
      set_gradients(results[i], call.input, d, kernel, recurrent_kernel, bias, states);
      set_states(results[i].d_final_states, d_final[i], d, call.input.batch, kRead);
      return nb::make_tuple(kernel, recurrent_kernel, bias, states);
    });
    run_backward(call, d_outputs, d_x, results);
    return nb::make_tuple(d_x, gradients);
  }

 private:
  void add(const Items& of) {
    if (of.size() < 5) throw std::invalid_argument("a direction has too few items");
    const Array kernel = array_of(of[1], "f", kRead, "kernel");
    const Array recurrent_kernel = array_of(of[2], "f", kRead, "recurrent_kernel");
    if (kernel.axes != 2 || recurrent_kernel.axes != 2) throw std::invalid_argument("kernels need 2 axes");
    const int64_t units = recurrent_kernel.shape[0];
    if (units == 0) throw std::invalid_argument("a cell needs a unit");
    if (count_ == 0) features_ = kernel.shape[0];
    if (!countable(0, 0, features_, units)) throw std::invalid_argument("the weights are too large");
    Direction& d = directions_[count_++];
    if (!set_cell(d, nb::cast<int>(of[0]))) throw std::invalid_argument("there is no such cell");
    d.units = units;
    d.reverse = nb::cast<bool>(of[4]);
    const Sizes sizes = sizes_of(input(0, 0), d);
    d.kernel = read(of[1], sizes.kernel, "kernel");
    d.recurrent_kernel = read(of[2], sizes.recurrent_kernel, "recurrent_kernel");
    d.bias = read(of[3], sizes.bias, "bias");
    for (int i = 1; i <= 3; ++i) held_.push_back(nb::borrow(of[i]));
  }

  void set_bins(nb::handle bins) {
    const Array array = array_of(bins, "f", kRead, "bins");
    if (array.axes != 3 || array.shape[0] != 2) throw std::invalid_argument("bins need 3 axes, the first of 2");
    const int64_t count = array.shape[1], numbers = array.shape[2];
    if (count < 1 || numbers < 1 || features_ / (count + 1) < numbers || precision_ == Precision::kBfloat16)
      throw std::invalid_argument("such weights have no such bins");
    const float* centers = static_cast<const float*>(array.data);
    bins_ = {numbers, count, centers, centers + count * numbers};
    held_.push_back(nb::borrow(bins));
  }

  void must_have_no_bins() const {
    if (bins_.numbers) throw std::invalid_argument("where numbers enter by bins there are no gradients and no dropout");
  }

  static nb::object empty_outputs(const Call& call) {
    return empty(call.input.batch, call.input.time, total_units(call.directions, call.count));
  }
  static nb::tuple empty_states(const Call& call, int64_t i) {
    const Direction& d = call.directions[i];
    const nb::tuple shape = nb::make_tuple(call.input.batch, d.units);
    return tuple_of(shape_of(d.cell).states, [&](int64_t) { return empty(shape); });
  }

  Input input(int64_t batch, int64_t time) const {
    return {batch, time, features_, nullptr, nullptr, zero_output_for_mask_, precision_, bins_};
  }

  // Rounded up: the residuals of every direction start at a cache line.
  static int64_t residual_floats(const Input& input, const Direction& d) {
    constexpr int64_t kLine = 16;
    return (residuals_size(input, d) + kLine - 1) / kLine * kLine;
  }

  // Gives every direction its part of the residuals.
  template <class Results>
  void set_residuals(Results* results, const Call& call, nb::handle residuals) const {
    must_have_no_bins();
    const Array array = array_of(residuals, "f", kWrite, "residuals");
    float* next = static_cast<float*>(array.data);
    for (int i = 0; i < call.count; ++i) {
      results[i].residuals = next;
      next += residual_floats(call.input, call.directions[i]);
    }
    if (next - static_cast<float*>(array.data) > array.size) throw std::invalid_argument("there are too few residuals");
  }

  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };

  bool zero_output_for_mask_;
  Precision precision_;
  const char* packed_for_ = nullptr;  // an instruction set
  std::unique_ptr<float, Free> packed_[kMaxDirections];
  int count_ = 0;
  int64_t features_ = 0;
  Bins bins_ = {};
  Direction directions_[kMaxDirections] = {};
  std::vector<nb::object> held_;
};

// ------------------------------------------------------------------ calls that bring their weights

// The item at a place of every direction.
nb::list items_of(nb::handle directions, int64_t place) {
  nb::list items;
  const Items each(directions);
  for (int64_t i = 0; i < each.size(); ++i) items.append(Items(each[i], 7, "a direction")[place]);
  return items;
}

// A direction is a tuple of cell, kernel, recurrent_kernel, bias (or None), reverse, initial states (or none) and
// dropout (or None); a result is one of final states and residuals (or None).
void forward_with_weights(nb::handle x, nb::handle mask, bool zero_output_for_mask, int precision,
                          nb::handle directions, nb::handle outputs, nb::handle results, bool time_major) {
  const Weights weights(directions, zero_output_for_mask, precision);
  const Call call = weights.call(x, mask, items_of(directions, 5), items_of(directions, 6), time_major);
  DirectionOutputs to[kMaxDirections] = {};
  const Items each(results, call.count, "results");
  for (int i = 0; i < call.count; ++i) {
    const Items of(each[i], 2, "a result");
    const Direction& d = call.directions[i];
    set_states(to[i].final_states, of[0], d, call.input.batch, kWrite);
    if (!of[1].is_none()) to[i].residuals = write(of[1], residuals_size(call.input, d), "residuals");
  }
  run_forward(call, outputs, to);
}

// A gradient is a tuple of residuals, d_final states (or none), d_kernel, d_recurrent_kernel, d_bias and
// d_initial states.
void backward_with_weights(nb::handle x, nb::handle mask, bool zero_output_for_mask, int precision,
                           nb::handle directions, nb::handle d_outputs, nb::handle d_x, nb::handle gradients,
                           bool time_major) {
  const Weights weights(directions, zero_output_for_mask, precision);
  const Call call = weights.call(x, mask, items_of(directions, 5), items_of(directions, 6), time_major);
  DirectionGradients to[kMaxDirections] = {};
  const Items each(gradients, call.count, "gradients");
  for (int i = 0; i < call.count; ++i) {
    const Items of(each[i], 6, "a gradient");
    const Direction& d = call.directions[i];
    to[i].residuals = must_write(of[0], residuals_size(call.input, d), "residuals");
    set_states(to[i].d_final_states, of[1], d, call.input.batch, kRead);
    set_gradients(to[i], call.input, d, of[2], of[3], of[4], of[5]);
  }
  run_backward(call, d_outputs, d_x, to);
}

}  // namespace

NB_MODULE(_native, m) {
  const nb::module_ numpy = nb::module_::import_("numpy");
  numpy_empty = nb::object(numpy.attr("empty")).release();
  numpy_float32 = nb::object(numpy.attr("dtype")("float32")).release();
  nb::class_<Weights>(m, "Weights")
      .def(nb::init<nb::handle, bool, int, nb::handle>(), nb::arg("directions"), nb::arg("zero_output_for_mask"),
           nb::arg("precision"), nb::arg("bins").none() = nb::none())
      .def("freeze", &Weights::freeze)
      .def("residual_floats", nb::overload_cast<int64_t, int64_t, bool>(&Weights::residual_floats, nb::const_),
           nb::arg("batch"), nb::arg("time"), nb::arg("dropout"))
      .def("fill", &Weights::fill, nb::arg("x"), nb::arg("mask").none(), nb::arg("initial_states"), nb::arg("outputs"),
           nb::arg("final_states"), nb::arg("time_major"))
      .def("outputs", &Weights::outputs, nb::arg("x").none(), nb::arg("mask").none(), nb::arg("initial_states").none())
      .def("run", &Weights::run, nb::arg("x"), nb::arg("mask").none(), nb::arg("initial_states").none(),
           nb::arg("dropout").none(), nb::arg("residuals").none())
      .def("backward", &Weights::backward, nb::arg("x"), nb::arg("mask").none(), nb::arg("initial_states").none(),
           nb::arg("dropout").none(), nb::arg("d_outputs"), nb::arg("d_states"), nb::arg("residuals"));
  m.def("forward", &forward_with_weights, nb::arg("x"), nb::arg("mask").none(), nb::arg("zero_output_for_mask"),
        nb::arg("precision"), nb::arg("directions"), nb::arg("outputs").none(), nb::arg("results"),
        nb::arg("time_major") = false);
  m.def("backward", &backward_with_weights, nb::arg("x"), nb::arg("mask").none(), nb::arg("zero_output_for_mask"),
        nb::arg("precision"), nb::arg("directions"), nb::arg("d_outputs").none(), nb::arg("d_x").none(),
        nb::arg("gradients"), nb::arg("time_major") = false);
  m.def(
      "wants_digest",
      [](int64_t steps, int64_t weights, int precision) {
        return wants_digest(steps, weights, precision_of(precision));
      },
      nb::arg("steps"), nb::arg("weights"), nb::arg("precision"));
  m.def(
      "residual_floats",
      [](int cell, int64_t batch, int64_t time, int64_t features, int64_t units, int precision, int dropout_gates,
         int recurrent_dropout_gates) {
        if (!countable(batch, time, features, units)) throw std::invalid_argument("the call is too large");
        Input input{};
        input.batch = batch;
        input.time = time;
        input.features = features;
        input.precision = precision_of(precision);
        const float some = 0.0f;
        Direction d{};
        d.dropout = dropout_gates ? &some : nullptr;
        d.same_dropout = dropout_gates == 1;
        d.recurrent_dropout = recurrent_dropout_gates ? &some : nullptr;
        if (!set_cell(d, cell)) throw std::invalid_argument("there is no such cell");
        d.units = units;
        return residuals_size(input, d);
      },
      nb::arg("cell"), nb::arg("batch"), nb::arg("time"), nb::arg("features"), nb::arg("units"),
      nb::arg("precision") = 0, nb::arg("dropout_gates") = 0, nb::arg("recurrent_dropout_gates") = 0);
  bind_machine(m);
  m.def("xla_handlers", &xla_handlers);
}

}  // namespace bothways
