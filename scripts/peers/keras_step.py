"""A training step in Keras 3 over TensorFlow: GRU layers in the form that cuDNN takes (reset_after), cross-entropy, Adam, train_on_batch.

Ways: "fp32" and "mixed bf16" as TensorFlow graphs, and both compiled by XLA ("XLA fp32", "XLA mixed bf16").
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy
import tensorflow

import turns


class Tied(keras.layers.Layer):
    """The softmax's logits by the weights of an embedding, and a bias."""

    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding

    def build(self, _):
        self.bias = self.add_weight(shape=(self.embedding.input_dim,), initializer="zeros")

    def call(self, x):
        weights = keras.ops.cast(self.embedding.embeddings, self.compute_dtype)
        return keras.ops.matmul(x, keras.ops.transpose(weights)) + self.bias


def language_model(sizes):
    """`[B, T]` tokens to logits `[B, T, V]`; stateful, so that the state goes on from batch to batch."""
    tokens = keras.Input(batch_shape=(sizes["batch"], sizes["time"]), dtype="int32")
    embedding = keras.layers.Embedding(sizes["vocabulary"], sizes["embedding"])
    x = embedding(tokens)
    for width in turns.widths(sizes):
        x = keras.layers.GRU(width, return_sequences=True, stateful=True, reset_after=True)(x)
    logits = Tied(embedding)(x) if sizes["tied"] else keras.layers.Dense(sizes["vocabulary"])(x)
    return keras.Model(tokens, logits)


def main():
    sizes, way, threads = turns.arguments()
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    keras.utils.set_random_seed(1)
    keras.config.set_dtype_policy("mixed_bfloat16" if way.endswith("bf16") else "float32")
    model = language_model(sizes)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=way.startswith("XLA"),
    )
    inputs, targets = (
        tensorflow.constant(numpy.array(rows, dtype="int32").T) for rows in turns.tokens(sizes)
    )
    turns.take(
        f"Keras {keras.__version__} over TensorFlow {tensorflow.__version__}",
        lambda: float(model.train_on_batch(inputs, targets)),
    )


if __name__ == "__main__":
    main()
