"""The final layer of retrain.py: softmax over embeddings, trained by plain stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.types import Floats

DEVIATION = 0.001
"""Of the normal distribution from which the weights start, cut at twice this (TensorFlow's truncated_normal)."""

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class FinalLayer:
    """`weights` (D, classes) and `biases` (classes,) float32: logits are `bottlenecks @ weights + biases`."""

    weights: Floats
    biases: Floats

    @classmethod
    def start(cls, size: int, classes: int, random: np.random.Generator) -> FinalLayer:
        """The layer before its first step, for bottlenecks of `size` numbers."""
        weights = random.standard_normal((size, classes))
        while (far := np.abs(weights) > 2).any():
            weights[far] = random.standard_normal(int(far.sum()))
        return cls((weights * DEVIATION).astype(np.float32), np.zeros(classes, np.float32))

    def probabilities(self, bottlenecks: Floats) -> Floats:
        """(N, classes) float32, each row summing to 1, for bottlenecks (N, D)."""
        return np.exp(self._log_probabilities(bottlenecks))

    def cross_entropy(self, bottlenecks: Floats, labels: Labels) -> float:
        """The mean of -log of the probability that each of N bottlenecks has its label (N,)."""
        return float(-self._log_probabilities(bottlenecks)[np.arange(len(labels)), labels].mean())

    def accuracy(self, bottlenecks: Floats, labels: Labels) -> float:
        """The share of N bottlenecks whose likeliest label is their own, from 0 to 1."""
        return float((self.predicted(bottlenecks) == labels).mean())

    def predicted(self, bottlenecks: Floats) -> Labels:
        """(N,) the likeliest label of each."""
        return np.asarray((bottlenecks @ self.weights + self.biases).argmax(axis=1), np.int64)

    def stepped(self, bottlenecks: Floats, labels: Labels, rate: float) -> FinalLayer:
        """The layer after one step down the gradient of the cross entropy of a batch."""
        error = self.probabilities(bottlenecks)
        error[np.arange(len(labels)), labels] -= 1
        error *= np.float32(rate / len(labels))
        return FinalLayer(self.weights - bottlenecks.T @ error, self.biases - error.sum(axis=0))

    def _log_probabilities(self, bottlenecks: Floats) -> Floats:
        logits = bottlenecks @ self.weights + self.biases
        logits -= logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)), np.float32)
