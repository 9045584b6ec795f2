"""CER is an edit distance: it aligns before it counts, and it can exceed 1.

Levenshtein (1966) distance: the fewest insertions, deletions and substitutions. The
table of dynamic programming against brute force, which tries every chain of edits.
CER divides the distance by the length of the true text, WER does so with words.
"""

import itertools


def edit_distance(a, b):
    """Rows of the table D[i][j] = distance from a[:i] to b[:j], kept one at a time."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


def neighbors(text, alphabet):
    for i in range(len(text) + 1):
        for c in alphabet:
            yield text[:i] + c + text[i:]
            yield text[:i] + c + text[i + 1 :]
        yield text[:i] + text[i + 1 :]


def brute_force(start, alphabet, longest):
    """Distance to every text, by breadth-first search through single edits."""
    distance, frontier = {start: 0}, [start]
    while frontier:
        reached = {t for s in frontier for t in neighbors(s, alphabet)}
        steps = distance[frontier[0]] + 1
        frontier = [t for t in reached if t not in distance and len(t) <= longest]
        distance.update((t, steps) for t in frontier)
    return distance


words = ["".join(p) for n in range(5) for p in itertools.product("ab", repeat=n)]
for a in words:
    distance = brute_force(a, "ab", longest=5)
    assert all(edit_distance(a, b) == distance[b] for b in words)
print(f"table = brute force on all {len(words) ** 2} pairs of texts up to 4 letters")
assert edit_distance("kitten", "sitting") == 3

true, rows = "total 1250.00 due 30 June", []
for name, read in {
    "first letter lost": "otal 1250.00 due 30 June",
    "one digit wrong": "total 7250.00 due 30 June",
    "spaces lost": "total1250.00due30June",
    "made-up text": "Dear customer, thank you for your payment of 1250.00 euros",
}.items():
    in_place = sum(x == y for x, y in zip(read, true)) / len(true)
    cer = edit_distance(read, true) / len(true)
    wer = edit_distance(read.split(), true.split()) / len(true.split())
    print(f"{name:17}  in place {in_place:.2f}  CER {cer:.2f}  WER {wer:.2f}")
    rows.append((in_place, cer, wer))
assert rows[0][1] == rows[1][1] and rows[0][0] < 0.1 < 0.9 < rows[1][0]
assert rows[2][2] == 1 and rows[3][1] > 1
