// NumPy arrays, and tuples of them, as the border takes and gives them. Only bind_numpy.cc includes this.
//
// Whatever is not as it has to be is a std::invalid_argument, in Python a ValueError.
#pragma once

#include <nanobind/nanobind.h>
#include <stdint.h>

#include <cstring>
#include <stdexcept>
#include <string>

#include "engine.h"

namespace bothways {

namespace nb = nanobind;

enum Access { kRead = 0, kWrite = PyBUF_WRITABLE };

// Whoever calls holds the array, and NumPy leaves its memory where it is: so the buffer need not be held.
struct Array {
  void* data;
  int64_t size;
  int axes;
  int64_t shape[3];  // of the first axes
};

// A C-contiguous, aligned array of elements of this format ("f" is float32, "?" is bool), in the byte order of the
// machine.
inline Array array_of(nb::handle object, const char* format, Access access, const char* name) {
  Py_buffer view;
  if (PyObject_GetBuffer(object.ptr(), &view, PyBUF_ND | PyBUF_FORMAT | access) == 0) {
    const bool same_type = view.format && std::strcmp(view.format, format) == 0;
    const bool right = same_type && reinterpret_cast<uintptr_t>(view.buf) % view.itemsize == 0;
    Array array{view.buf, right ? view.len / view.itemsize : 0, view.ndim, {}};
    for (int i = 0; i < view.ndim && i < 3; ++i) array.shape[i] = view.shape[i];
    PyBuffer_Release(&view);
    if (right) return array;
  }
  PyErr_Clear();
  throw std::invalid_argument(std::string(name) + " is not a contiguous array of the type that is needed");
}

// The elements of an array, which has to have `size` of them. A null pointer for None.
inline void* elements(nb::handle object, int64_t size, const char* format, Access access, const char* name) {
  if (object.is_none()) return nullptr;
  const Array array = array_of(object, format, access, name);
  if (array.size == size) return array.data;
  throw std::invalid_argument(std::string(name) + " has " + std::to_string(array.size) + " elements; " +
                              std::to_string(size) + " are needed");
}

// As `elements`, of an array of two axes.
inline void* matrix(nb::handle object, int64_t rows, int64_t columns, const char* format, Access access,
                    const char* name) {
  if (object.is_none()) return nullptr;
  const Array array = array_of(object, format, access, name);
  if (array.axes == 2 && array.shape[0] == rows && array.shape[1] == columns) return array.data;
  throw std::invalid_argument(std::string(name) + " needs the shape (" + std::to_string(rows) + ", " +
                              std::to_string(columns) + ")");
}

inline const float* read(nb::handle object, int64_t size, const char* name) {
  return static_cast<const float*>(elements(object, size, "f", kRead, name));
}

inline float* write(nb::handle object, int64_t size, const char* name) {
  return static_cast<float*>(elements(object, size, "f", kWrite, name));
}

inline float* must_write(nb::handle object, int64_t size, const char* name) {
  if (object.is_none()) throw std::invalid_argument(std::string(name) + " is missing");
  return write(object, size, name);
}

inline nb::handle numpy_empty, numpy_float32;  // set once, when the module is imported

// A new array, in whatever memory NumPy takes for one of its size.
inline nb::object empty(const nb::tuple& shape) { return numpy_empty(shape, numpy_float32); }

template <class... Axes>
nb::object empty(Axes... axes) {
  return empty(nb::make_tuple(axes...));
}

template <class Make>
nb::tuple tuple_of(int64_t count, const Make& make) {
  nb::tuple made = nb::steal<nb::tuple>(PyTuple_New(count));
  for (int64_t i = 0; i < count; ++i) NB_TUPLE_SET_ITEM(made.ptr(), i, make(i).release().ptr());
  return made;
}

// A tuple or a list of as many items as are needed.
class Items {
 public:
  explicit Items(nb::handle sequence) : items_(nb::steal(PySequence_Tuple(sequence.ptr()))) {
    if (items_.is_valid()) return;
    PyErr_Clear();
    throw std::invalid_argument("a tuple or a list is needed");
  }
  Items(nb::handle sequence, int64_t needed, const char* name) : Items(sequence) {
    if (size() == needed) return;
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(size()) + " items; " +
                                std::to_string(needed) + " are needed");
  }

  int64_t size() const { return NB_TUPLE_GET_SIZE(items_.ptr()); }
  nb::handle operator[](int64_t i) const { return NB_TUPLE_GET_ITEM(items_.ptr(), i); }

 private:
  nb::object items_;
};

// By its number in `bothways.engine.PRECISIONS`.
inline Precision precision_of(int number) {
  if (!known_precision(number)) throw std::invalid_argument("there is no such precision");
  return static_cast<Precision>(number);
}

inline void must_have_gradients(const Input& input) {
  if (input.precision == Precision::kInt8) throw std::invalid_argument("int8 has no backward pass and no dropout");
}

}  // namespace bothways
