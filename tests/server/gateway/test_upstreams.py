"""Where a call goes is configuration, read once and checked as a whole."""

from __future__ import annotations

import pytest

from teachback.errors import SetupError
from teachback.server.gateway.upstreams import UnknownModel, read_upstreams, usual_upstreams

KEYS = {"ONE": "sk-1", "TWO": "sk-2"}
FILE = """
[one]
url = "https://one.example/v1/"
key = "ONE"
headers = {OpenAI-Project = "p"}

[two]
url = "http://10.0.0.9:8000/v1"
models = ["llama-*", "llama-3-*", "exact"]

[three]
url = "http://10.0.0.10:8000/v1"
models = ["llama-3*"]

[claude]
url = "https://claude.example"
protocol = "anthropic"
key = "TWO"
models = ["claude-*"]
"""


@pytest.mark.parametrize(
    ("model", "name"),
    [("gpt", "one"), ("exact", "two"), ("exactly", "one"), ("llama-2", "two"),
     ("llama-3.3", "three"), ("llama-3-70b", "two"), ("", "one"), ("llama-*", "two")],
)  # fmt: skip
def test_model_goes_to_the_upstream_that_fits_best(model: str, name: str) -> None:
    """Whole names, then the longest beginning, then whoever takes the rest."""
    assert read_upstreams(FILE, KEYS.get).choose("openai", model).name == name


def test_keys_and_headers_are_read() -> None:
    """A key comes from the variable that is named, and shows nowhere."""
    found = read_upstreams(FILE, KEYS.get)
    one, *_, claude = found.all
    assert one.authorization() == (("authorization", "Bearer sk-1"),)
    assert claude.authorization() == (("x-api-key", "sk-2"),)
    assert one.headers == (("openai-project", "p"),)
    assert one.url == "https://one.example/v1"
    assert "sk-1" not in repr(found)


def test_unknown_models_are_refused() -> None:
    """With what to do about it; protocols do not stand in for each other."""
    found = read_upstreams(FILE, KEYS.get)
    with pytest.raises(UnknownModel, match="no upstream takes the model 'gpt'"):
        found.choose("anthropic", "gpt")
    with pytest.raises(UnknownModel, match="OPENAI_API_KEY"):
        usual_upstreams(openai=(None, None), anthropic=(None, "k")).choose("openai", "gpt")


def test_usual_upstreams_need_a_key_or_an_address() -> None:
    """What the providers' own clients read is enough."""
    found = usual_upstreams(openai=("http://127.0.0.1:1/v1/", None), anthropic=(None, "k"))
    assert [(one.name, one.url, one.key) for one in found.all] == [
        ("openai", "http://127.0.0.1:1/v1", None),
        ("anthropic", "https://api.anthropic.com", "k"),
    ]
    assert usual_upstreams(openai=(None, None), anthropic=(None, None)).all == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "no TOML"),
        ("x = 1", "x: an upstream is a table"),
        ("[x]", "x.url"),
        ('[x]\nurl = "ftp://x"', "x.url"),
        ('[x]\nurl = "https://user:pass@x/v1"', "x.url"),
        ('[x]\nurl = "https://x/v1?a=b"', "x.url"),
        ('[x]\nurl = "https://x"\nprotocol = "smtp"', "x.protocol: one of openai, anthropic"),
        ('[x]\nurl = "https://x"\nkey = "sk-secret"', "x.key: the name of an environment"),
        ('[x]\nurl = "https://x"\nmodels = "gpt"\nmodel = 1', "x.model: no such field"),
        ('[x]\nurl = "https://x"\nmodels = [1]', "x.models"),
        ('[x]\nurl = "https://x"\nheaders = {a = 1}', "x.headers"),
    ],
)
def test_mistakes_stop_the_start(text: str, said: str) -> None:
    """Each is named; what may be a key is not repeated."""
    with pytest.raises(SetupError) as caught:
        read_upstreams(text, KEYS.get)
    assert said in caught.value.message
    assert "sk-secret" not in caught.value.message
