"""Max pooling ignores a 1 px shift only inside a window.

Source: the definition; the popular reading is corrected in arXiv 1904.11486.
Shapes: x (1, 1, 6, 6) -> 2x2, stride 2: (3, 3); 3x3, stride 2: (3, 3).
"""

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F

RULES = {"2×2, stride 2": (2, 2, 0), "3×3, stride 2": (3, 2, 1)}  # padding last


def pool(x, rule):
    return F.max_pool2d(x[None, None], *RULES[rule])[0, 0]


# One hot pixel in every column, moved right by 1: is the pooled map the same?
for rule in RULES:
    same = []
    for column in range(6):
        x = torch.zeros(6, 6)
        x[2, column] = 1.0
        same.append(pool(x, rule).equal(pool(x.roll(1, dims=1), rule)))
    assert same == [c % 2 == 0 if rule[0] == "2" else c == 4 for c in range(6)]
    print(f"{rule}: unchanged from columns {[c for c in range(6) if same[c]]}")


def draw(ax, numbers, circled, size, step, start):
    for n in range(9):  # the nine windows, each in its color
        corner = (n % 3 * step + start, n // 3 * step + start)
        tile = plt.Rectangle(corner, size, size, fc=f"C{n}", ec="k", alpha=0.4)
        ax.add_patch(tile)
    for i, j in torch.cartesian_prod(*map(torch.arange, numbers.shape)):
        mark = {"boxstyle": "circle,pad=0.1", "fc": "w"} if circled[i, j] else None
        place = {"ha": "center", "va": "center", "size": 13, "bbox": mark}
        ax.text(j + 0.5, i + 0.5, f"{numbers[i, j]:.0f}", **place)
    left = -1.1 if step > 1 else -2.1  # the maxima stand below the middle
    ax.set(xlim=(left, left + 7.2), ylim=(len(numbers) + 0.1, min(start, 0) - 0.1))
    ax.set_aspect("equal", anchor="S" if step > 1 else "N")
    ax.axis("off")


torch.manual_seed(1)
grid = (10 * torch.rand(6, 6) ** 2).floor()  # few large numbers
shifted = grid.roll(1, dims=1)  # the last column re-enters on the left
tall = {"height_ratios": [7.2, 3.2] * 2, "layout": "constrained"}
fig, axes = plt.subplots(4, 2, figsize=(5, 7.8), **tall)
for (top, low, again, last), rule in zip(axes.T, RULES):
    size, step, padding = RULES[rule]
    old, new = pool(grid, rule), pool(shifted, rule)
    draw(top, grid, grid < 0, size, step, -padding)
    draw(low, old, old < 0, 1, 1, 0)
    draw(again, shifted, grid < 0, size, step, -padding)
    draw(last, new, new != old, 1, 1, 0)
    top.set_title(rule)
    again.set_title("shifted right by 1")
plt.show()
