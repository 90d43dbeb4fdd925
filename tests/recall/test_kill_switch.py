"""A killed lesson is out of every process within a second."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator

import httpx2

from support.running import own_product
from teachback.bench.product import COMMAND, Product, free_port

__all__ = ["own_product"]

QUERY = "How do I get a refund?"


@contextlib.contextmanager
def replica(product: Product) -> Iterator[str]:
    """A second server process on the same database."""
    port = free_port()
    command = [str(COMMAND), "serve", "--data-dir", str(product.data_dir), "--port", str(port)]
    with product.log.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(40)


def client(url: str, key: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30)


def member_key(product: Product) -> str:
    command = [str(COMMAND), "keys", "create", "alice", "--member", "owner@localhost",
               "--data-dir", str(product.data_dir)]  # fmt: skip
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return made.stdout.strip()


def outcome(replica: httpx2.Client) -> str:
    """What a request is given; a replica that is still starting gives nothing."""
    with contextlib.suppress(httpx2.HTTPError):
        return str(replica.post("/v1/inject", json={"query": QUERY}).json()["outcome"])
    return "starting"


def until(replicas: list[httpx2.Client], wanted: str, limit_s: float = 60) -> float:
    begun = time.monotonic()
    while {outcome(one) for one in replicas} != {wanted}:
        assert time.monotonic() - begun < limit_s
        time.sleep(0.02)
    return time.monotonic() - begun


def put_in_force(api: httpx2.Client) -> str:
    """Draft, approve and put in force, as a member does; return the lesson's id."""
    api.patch("/v1/projects/current", json={"recall": {"holdout": 0, "propensity": 1}})
    sent = {"kind": "fact", "situation": QUERY, "text": "14 days."}
    name = str(api.post("/v1/lessons", json=sent).raise_for_status().json()["id"])
    for step in ({"state": "approved", "version": 1}, {"state": "live"}):
        api.post(f"/v1/lessons/{name}/state", json=step | {"reason": "x"}).raise_for_status()
    return name


def test_killed_lesson_is_out_of_every_replica_within_a_second(own_product: Product) -> None:
    """By its own switch, or by the project's; and in again when that is taken back."""
    key = member_key(own_product)
    with replica(own_product) as second:
        replicas = [client(own_product.url, key), client(second, key)]
        first, other = replicas
        name = put_in_force(first)
        until(replicas, "injected")
        for method, path in (("POST", f"/v1/lessons/{name}/kill"), ("PUT", "/v1/lesson_switch")):
            off, on = ({"off": switch, "reason": "x"} for switch in (True, False))
            first.request(method, path, json=off).raise_for_status()
            assert until(replicas, "no_lessons") < 1.0
            other.request(method, path, json=on).raise_for_status()
            until(replicas, "injected")
        for one in replicas:
            one.close()
