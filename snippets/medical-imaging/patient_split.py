"""Splitting slices instead of patients measures memory, not diagnosis.

40 patients, 10 slices each. A patient's slices look alike; the diagnosis is a coin
flip that no pixel shows. Test folds of 8 patients.
"""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_score

SEEDS = range(5)
scores = {"slices shuffled": [], "patients apart": []}
for seed in SEEDS:
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(40), 10)
    anatomy = rng.normal(size=(40, 256))  # 16 x 16 pixels
    slices = anatomy[patient] + 0.5 * rng.normal(size=(400, 256))
    diagnosis = rng.integers(2, size=40)[patient]
    model = LogisticRegression(C=0.01, tol=1e-6, max_iter=1000)
    folds = {
        "slices shuffled": KFold(5, shuffle=True, random_state=seed).split(slices),
        "patients apart": GroupKFold(5).split(slices, groups=patient),
    }
    for name, split in folds.items():
        accuracy = cross_val_score(model, slices, diagnosis, cv=split)
        scores[name].append(accuracy.mean())
for name, s in scores.items():
    print(f"{name}: accuracy {np.mean(s):.2f} ({min(s):.2f}-{max(s):.2f}), 5 seeds")
assert min(scores["slices shuffled"]) > 0.9
assert 0.3 < min(scores["patients apart"]) and max(scores["patients apart"]) < 0.7
