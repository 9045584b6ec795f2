"""A served model answers a burst of parallel requests exactly as the local one does,
and refuses malformed input with a 4xx instead of guessing.

FastAPI and uvicorn on a free loopback port. A picture is 64 gray values in 0-16.
"""

import json
import secrets
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated
import torch
import uvicorn
from fastapi import Body, FastAPI, Header, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10))
KEY = "not-a-real-key"
app = FastAPI()
Gray = Annotated[float, Body(ge=0, le=16, allow_inf_nan=False)]


def predict(pixels):
    with torch.inference_mode():  # the mode is per thread
        return int(net(torch.tensor(pixels).view(1, 1, 8, 8) / 16).argmax())


@app.exception_handler(RequestValidationError)
def refuse(request, error):  # the default echoes the input and fails with 500 on NaN
    return JSONResponse({"detail": "64 gray values in 0-16 expected"}, 422)


@app.post("/predict")
def endpoint(
    pixels: Annotated[list[Gray], Body(min_length=64, max_length=64)],
    key: Annotated[str, Header()] = "",
):
    if not secrets.compare_digest(key.encode(), KEY.encode()):  # constant time
        raise HTTPException(401, "unknown key")
    return {"label": predict(pixels)}


def ask(body, key=KEY):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/json", "key": key}
        )
        with opener.open(request, timeout=30) as answer:
            return answer.status, json.load(answer)["label"]
    except urllib.error.HTTPError as error:
        return error.code, None


sock = socket.socket()
sock.bind(("127.0.0.1", 0))  # the system chooses a free port
url = f"http://127.0.0.1:{sock.getsockname()[1]}/predict"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
thread.start()
while thread.is_alive() and not server.started:
    time.sleep(0.01)

pictures = load_digits().data[:100].tolist()
with ThreadPoolExecutor(16) as pool:
    answers = list(pool.map(ask, pictures))
good = pictures[0]
bad = {
    "63 values": good[1:],
    "a value of 255": [255, *good[1:]],
    "text": ["a", *good[1:]],
    "NaN": [float("nan"), *good[1:]],
    "not JSON": b"\x89PNG",
    "nothing": b"",
}
refused = {name: ask(body)[0] for name, body in bad.items()}
denied, alive = ask(good, "guess")[0], ask(good)[0]
server.should_exit = True
thread.join(10)

assert answers == [(200, predict(p)) for p in pictures]
assert len({label for _, label in answers}) > 1
assert all(400 <= code < 500 for code in refused.values())
assert denied == 401 and alive == 200
print(f"{len(answers)} parallel requests, all equal to the local model")
print("refused:", ", ".join(f"{name} {code}" for name, code in refused.items()))
print("wrong key 401; afterwards a good request 200")
