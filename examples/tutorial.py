"""The tutorial's own program: a bidirectional LSTM learns where a running sum reaches a quarter of the length.

    python examples/tutorial.py [EPOCHS] [--quiet]

It differs from the tutorial where today's Keras demands it: `Input` instead of `input_shape`, and a threshold
instead of `predict_classes`, which is gone. The recurrent layers come from bothways; everything else is stock Keras.
"""

import sys
from random import random

from numpy import array, cumsum, ndarray

from bothways.layers import LSTM, Bidirectional

# isort: split
# Keras comes after bothways, which chooses a backend for it that is installed.
from keras.layers import Dense, Input, TimeDistributed
from keras.models import Sequential


def get_sequence(n_timesteps: int) -> tuple[ndarray, ndarray]:
    X = array([random() for _ in range(n_timesteps)])
    limit = n_timesteps / 4.0
    y = array([0 if x < limit else 1 for x in cumsum(X)])
    X = X.reshape(1, n_timesteps, 1)
    y = y.reshape(1, n_timesteps, 1)
    return X, y


numbers = [argument for argument in sys.argv[1:] if argument.isdigit()]
n_epochs = int(numbers[0]) if numbers else 1000
verbose = 0 if "--quiet" in sys.argv else 2

n_timesteps = 10
model = Sequential()
model.add(Input((n_timesteps, 1)))
model.add(Bidirectional(LSTM(20, return_sequences=True)))
model.add(TimeDistributed(Dense(1, activation="sigmoid")))
model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["acc"])

for _ in range(n_epochs):
    X, y = get_sequence(n_timesteps)
    model.fit(X, y, epochs=1, batch_size=1, verbose=verbose)

X, y = get_sequence(n_timesteps)
yhat = (model.predict(X, verbose=0) > 0.5).astype(int)
for i in range(n_timesteps):
    print("Expected:", y[0, i], "Predicted", yhat[0, i])
