// The kernels in Rust (src/native), as C++ calls them: the same structs as there, field by field, but for what follows in
// `Table` and C++ does not call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace grulm {

struct GruSizes {
  size_t time, batch, input, hidden;
};

struct GruForward {
  GruSizes sizes;
  const float *x, *weight_ih, *weight_hh, *bias_ih, *bias_hh;
  float *states, *gates, *recurrent;
  bool keep;
};

struct GruBackward {
  GruSizes sizes;
  const float *x, *weight_ih, *weight_hh, *states;
  float *gates, *recurrent;
  const float* d_outputs;
  float *d_state, *d_x, *d_weight_ih, *d_weight_hh, *d_bias_ih, *d_bias_hh;
};

struct CrossEntropy {
  size_t rows, width, vocabulary;
  const float *x, *weight, *bias;
  const int64_t* targets;
  float *nll, *d_bias, *d_x, *d_weight;
};

// The kernels of one instruction set and precision. They say whether there was memory for them.
struct Table {
  bool (*gru_forward)(const GruForward*);
  bool (*gru_backward)(const GruBackward*);
  bool (*cross_entropy)(const CrossEntropy*);
};

}  // namespace grulm
