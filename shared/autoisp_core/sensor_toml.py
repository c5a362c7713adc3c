"""A sensor profile as TOML text for people: what `SensorProfile.from_toml` reads, key by key."""

import json

from autoisp_core.sensor import SensorProfile


def profile_toml(profile: SensorProfile) -> str:
    """The profile's TOML text.

    >>> from autoisp_core.sensor import builtin
    >>> SensorProfile.from_toml(profile_toml(builtin("phone"))) == builtin("phone")
    True
    """
    data = profile.to_dict()
    gains, noise = data.pop("gains"), data.pop("noise")
    test = noise.pop("test", None)
    lines = [_line(key, value) for key, value in data.items()]
    lines += ["", "[gains]", *(_line(key, value) for key, value in gains.items())]
    lines += ["", "[noise]", *(_line(key, value) for key, value in noise.items())]
    if test is not None:
        lines += ["", "[noise.test]", *(_line(key, value) for key, value in test.items())]
    return "\n".join(lines) + "\n"


def _line(key: str, value: object) -> str:
    # JSON's strings, numbers and lists are TOML's too. DEL alone must be escaped in TOML and is not in JSON.
    return f"{key} = {json.dumps(value, ensure_ascii=True)}".replace("\x7f", "\\u007f")
