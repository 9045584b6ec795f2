'''Studies: comparisons that a skeptic accepts, run under one protocol.

A study answers one question of a practitioner with all arms in one table. Its file
``studies/<topic>/<study>.py`` defines ``STUDY`` and imports nothing of the project but this package::

    """Does weight decay help a small CNN on 100 digits?"""

    import torch
    import torch.nn.functional as F
    from sklearn.datasets import load_digits
    from torch import nn

    from answerbook.study import Arm, Claim, Study, split

    torch.set_default_dtype(torch.float64)


    def data(seed):
        images, digits = map(torch.from_numpy, load_digits(return_X_y=True))
        return split(seed, (images.view(-1, 1, 8, 8) / 16, digits), train=100, validation=200, test=None)


    def network():
        return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))


    def fit(run, data, lr, decay=0.0):
        x, y = data.train  # there is no data.test
        model = run.initialize(network)
        optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=decay)
        for index in run.batches(len(y), 50, steps=800, watch=model):
            optimizer.zero_grad()
            F.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
        return run.best(model)  # of the 16 watched steps the best on validation data


    def measure(model, part):
        x, y = part
        return {"accuracy": (model(x).argmax(1) == y).double().mean()}


    STUDY = Study(
        question="Does weight decay help a small CNN on 100 digits?",
        arms=[
            Arm("plain", fit, {"lr": [0.001, 0.002, 0.004, 0.008, 0.016, 0.032]}),
            Arm("weight decay", fit, {"lr": [0.002, 0.008], "decay": [0.01, 0.1, 1.0]}),
        ],
        claims=[
            Claim(
                "decay-helps",
                "Weight decay gains a point of accuracy.",
                arm="weight decay",
                rival="plain",
                metric="accuracy",
                margin=0.01,
                skeptic="A better learning rate does the same.",
                refutes="Weight decay always helps on small data.",
            ),
        ],
        metrics={"accuracy": "larger"},
        equal="network, first weights, batches, 800 steps, early stopping on the same 200 images",
        data=data,
        measure=measure,
        budget=120,
    )

What the machinery does with it (``make study ONLY=<topic>/<study>``):

1. It checks the declaration: a rival and a skeptic for each claim, as many candidates for each arm,
   at least 10 pairs, two tuning seeds (three to see a plateau missed before certification).
2. It tries every candidate of every arm on the tuning seeds and takes the one with the best mean of the
   first metric on validation data. Arms that do not share start, batches and steps, and arms that are
   still learning, end it here, unless ``Arm(differs={aspect: why})`` says so; the table shows the reason.
3. It draws certification seeds from the SHA-256 of the study's code, trains all arms on each, and
   measures them on the test set, which no arm ever gets.
4. From the paired differences it computes intervals and verdicts, and writes
   ``studies/<topic>/<study>.json`` and ``docs/figures/<topic>/<study>.svg``. An earlier result, whatever it
   said, moves to the history. A changed comment changes nothing; changed code needs a new run.

Traps:

- What the arms of one seed share (a teacher, a pretrained encoder) is made once by
  ``run.shared("teacher", make)``; its steps are shown apart. ``make(run)`` draws from the run it is given.
- A second network of one arm has its own key: ``run.initialize(network, key="member 2")`` and
  ``run.batches(…, key="member 2")``. Start, order and plateau are compared under the key "model".
- Random numbers come from ``run.generator("augmentation")``, or from torch and NumPy, which are seeded alike
  for each arm. Never set a seed.
- Photographs instead of seeds: give ``photographs`` (names) instead of ``data`` and ``measure``, and
  ``fit(run, photograph, **knobs)`` returns the values of all metrics for one photograph, averaged over its
  crops. Load networks inside a cached function, not when the file is imported.
- A rate that decays to zero always looks like a plateau late: prefer a constant rate and ``run.best``.
- Run ``python -m answerbook study <topic>/<study> --quick`` first: each arm with two steps.
'''

from answerbook.study.declare import Arm, Claim, Study, StudyError
from answerbook.study.protocol import Run, split

__all__ = ["Arm", "Claim", "Run", "Study", "StudyError", "split"]
