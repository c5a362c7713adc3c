"""Device profiles as TOML: the shipped ones, and everything that anybody can get wrong in their own."""

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.lint import Conditions, accelerator_named, parse_accelerator, profile_text, shipped_names
from autoisp_core.spec.device import DEVICES

WHOLE = 'name = "mine"\nprecisions = ["float16"]\noperators = ["Conv"]\n'


def test_the_shipped_profiles():
    assert shipped_names() == ("phone-npu-4", "phone-npu-10", "phone-npu-20", "xnnpack-cpu")
    for name in shipped_names():
        profile = accelerator_named(name)
        assert profile.name == name
        assert profile.operators["Conv"]
        assert parse_accelerator(profile_text(name)) == profile


def test_rates_are_those_of_the_rooflines():
    for name in shipped_names():
        assert accelerator_named(name).rates == DEVICES.get(name)
    assert set(DEVICES) < set(shipped_names())


def test_what_is_left_out_has_a_default():
    own = parse_accelerator(WHOLE)
    assert own.operators == {"Conv": Conditions()}
    assert (own.title, own.channel_multiple, own.max_rank) == ("mine", 1, 4)
    assert (own.dynamic_shapes, own.runtime_weights, own.control_flow) == (False, False, False)
    assert (own.max_opset, own.on_chip_weight_bytes, own.rates) == (None, None, None)


def test_a_profile_extends_another():
    own = parse_accelerator(
        """
        name = "mine"
        extends = "phone-npu-10"
        without = ["Softmax"]
        operators = ["GridSample", "com.microsoft.Gelu"]
        channel_multiple = 8
        [conditions]
        Pad = { modes = ["constant"] }
        [rates]
        macs_per_second = 2e12
        bytes_per_second = 3e10
        """
    )
    base = accelerator_named("phone-npu-10")
    assert set(own.operators) == set(base.operators) - {"Softmax"} | {"GridSample", "com.microsoft.Gelu"}
    assert own.operators["Pad"] == Conditions(modes=("constant",))
    assert (own.channel_multiple, own.max_rank, own.precisions) == (8, base.max_rank, base.precisions)
    assert (own.rates.macs_per_second, own.rates.bytes_per_value) == (2e12, 2)


def test_floats_that_a_profile_no_longer_has_are_not_computed_in():
    own = parse_accelerator('name = "mine"\nextends = "phone-npu-10"\nprecisions = ["w8a8"]')
    assert own.float32_as == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name =", "no TOML"),
        ("", "name of the device profile"),
        ('name = "Mine"', "a-z"),
        ('name = "a\\u0007"', "one line"),
        ("name = 3", "one line"),
        ('name = "mine"', "precisions"),
        ('name = "mine"\nprecisions = ["float16"]', "operators"),
        ('name = "mine"\nextends = "toaster"', "phone-npu-4"),
        ('name = "mine"\nextends = "../phone-npu-4"', "phone-npu-4"),
        (WHOLE + "chanel_multiple = 8", "unknown key 'chanel_multiple'"),
        (WHOLE + "channel_multiple = 0", "from 1 to 1024"),
        (WHOLE + "channel_multiple = true", "from 1 to 1024"),
        (WHOLE + "max_rank = 4.0", "from 1 to 16"),
        (WHOLE + 'dynamic_shapes = "yes"', "true or false"),
        (WHOLE + 'unsupported = "maybe"', "'error', 'warning'"),
        (WHOLE + 'float32_as = "float32x"', "float32_as"),
        (WHOLE.replace("float16", "w8a8") + 'float32_as = "float16"', "not among its precisions"),
        (WHOLE + 'without = ["Relu"]', "'Relu' is not among"),
        (WHOLE.replace("float16", "int7"), "'int7' is none of float32"),
        (WHOLE.replace('["float16"]', '"float16"'), "in brackets"),
        (WHOLE.replace('["float16"]', "[]"), "1 to 500"),
        (WHOLE.replace("Conv", "Co nv"), "no operator's name"),
        (WHOLE + "conditions = 3", "[conditions]"),
        (WHOLE + "[conditions]\nConv = 3", "[conditions.Conv]"),
        (WHOLE + "[conditions]\nConv = { kernel = [3] }", "unknown key 'kernel'"),
        (WHOLE + "[conditions]\nConv = { kernels = [0] }", "kernels of [conditions.Conv]"),
        (WHOLE + '[conditions]\nConv = { groups = ["all"] }', "dense, grouped, depthwise"),
        (WHOLE + "[rates]\nmacs_per_second = 1e12", "bytes_per_second"),
        (WHOLE + "[rates]\nmacs_per_second = -1\nbytes_per_second = 1", "above 0"),
        (WHOLE + "[rates]\nmacs_per_second = inf\nbytes_per_second = 1", "above 0"),
        (WHOLE + "[rates]\nmacs_per_second = nan\nbytes_per_second = 1", "above 0"),
        (WHOLE + f"title = '{'a' * 20_000}'", "bytes"),
    ],
)
def test_a_wrong_profile_is_refused_with_the_key_and_the_fix(text, said):
    with pytest.raises(InvalidArgumentError) as caught:
        parse_accelerator(text, "--device")
    assert caught.value.field == "--device"
    assert said in caught.value.message


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(InvalidArgumentError, match=r"phone-npu-4, phone-npu-10, phone-npu-20, xnnpack-cpu"):
        accelerator_named("toaster")
