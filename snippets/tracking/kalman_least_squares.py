"""A Kalman filter is least squares over the whole past, done one frame at a time.

Kalman 1960. State (position, velocity), constant velocity; only the position is
measured. Three exact checks: the batch fit, the gap, the steady gain.
"""

import torch
from scipy.linalg import solve_discrete_are

torch.set_default_dtype(torch.float64)
F = torch.tensor([[1.0, 1], [0, 1]])  # x' = x + v, v' = v
H = torch.tensor([[1.0, 0]])  # what is measured


def predict(x, P, Q):
    return F @ x, F @ P @ F.T + Q


def update(x, P, z, R):
    K = P @ H.T / (H @ P @ H.T + R)  # gain (2, 1)
    return x + K @ (z - H @ x), P - K @ H @ P


# 1. Without process noise: weighted least squares with the prior as one more row
torch.manual_seed(0)
T, R, prior = 20, 4.0, torch.diag(torch.tensor([100.0, 9.0]))
z = 3 + 1.5 * torch.arange(T) + R**0.5 * torch.randn(T)
x, P = torch.zeros(2, 1), prior
for t in range(T):
    if t:
        x, P = predict(x, P, torch.zeros(2, 2))
    x, P = update(x, P, z[t], R)
now = torch.stack([torch.ones(T), torch.arange(T) - (T - 1.0)], 1)  # from now back
back = torch.linalg.matrix_power(F, T - 1)
inverse = torch.linalg.inv(back @ prior @ back.T)  # the prior, moved to the end
batch_P = torch.linalg.inv(now.T @ now / R + inverse)
batch_x = batch_P @ (now.T @ z[:, None] / R)
assert (batch_x - x).abs().max() < 1e-8 and (batch_P - P).abs().max() < 1e-8
print("20 filter steps = one batch fit, estimate and covariance: difference < 1e-8")

# 2. k unseen frames: the variance of the position is a cubic in k
q, Q = 0.05, 0.05 * torch.diag(torch.tensor([0.0, 1.0]))  # noise in the velocity
(a, b), c, y, S = P[0], P[1, 1], x, P
for k in range(1, 11):
    y, S = predict(y, S, Q)
    cubic = a + 2 * k * b + k**2 * c + q * k * (k - 1) * (2 * k - 1) / 6
    assert (S[0, 0] - cubic).abs() < 1e-9
    if k in (1, 5, 10):
        print(f"unseen for {k:2} frames: standard deviation {cubic.sqrt():.1f} pixels")

# 3. Seen in every frame, the gain settles; the Riccati equation says where
for _ in range(300):
    S = predict(y, S, Q)[1]
    gain = S @ H.T / (H @ S @ H.T + R)
    S = update(y, S, z[:1], R)[1]
steady = torch.tensor(solve_discrete_are(F.T.numpy(), H.T.numpy(), Q.numpy(), [[R]]))
assert (gain - steady @ H.T / (H @ steady @ H.T + R)).abs().max() < 1e-8
position, velocity = gain[:, 0].tolist()
print(f"steady gain {position:.2f} for position, {velocity:.2f} for velocity")
print("= gain from the Riccati equation, difference < 1e-8")
