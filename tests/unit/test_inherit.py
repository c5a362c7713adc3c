"""Weights handed down from one spec to another: which, how many, and what the network then does."""

from dataclasses import replace
from random import Random

import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import LayerType, SearchSpace, Spec, kinship
from autoisp_isp.inherit import inherited_weights
from autoisp_isp.network import build

CONV, ADD, CONCAT, DEPTHWISE, GROUPED = 1, 5, 6, 8, 9
PLAIN = Spec(Spec.code((1, CONV, 3, 0, 0), (2, CONV, 3, 1, 0), (3, 7, 0, 0, 0)), width=8, frames=3)
FORKED = Spec(
    Spec.code(
        (1, CONV, 3, 0, 0),
        (2, DEPTHWISE, 5, 0, 0),
        (3, CONCAT, 0, 1, 2),
        (4, GROUPED, 3, 2, 0),
        (5, 7, 0, 0, 0),
    ),
    width=8,
    frames=1,
    recurrent=1,
)


def trained(spec: Spec, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights that no initialisation gives: none is zero, so that each tells where it came from."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: 0.1 * torch.randn(value.shape, generator=generator)
        for name, value in build(spec).state_dict().items()
    }


def picture(spec: Spec, weights: dict[str, torch.Tensor], raw: torch.Tensor) -> torch.Tensor:
    network = build(spec).eval()
    network.load_state_dict(weights)
    camera = torch.full((1, 3), 1.5), torch.eye(3)[None], torch.full((1, 2), 0.001)
    with torch.no_grad():
        return network(raw[:, -spec.frames :] if spec.frames > 1 else raw[:, -1], *camera)


def test_a_twin_inherits_everything() -> None:
    for spec in (PLAIN, FORKED, replace(PLAIN, residual=1), replace(PLAIN, head=1, packing=4)):
        weights = trained(spec)
        inherited = inherited_weights(spec, spec, weights, seed=1)
        assert kinship(spec, spec).share == 1.0
        fixed = [name for name in weights if name.startswith("demosaic.")]
        assert all(torch.equal(inherited[name], weights[name]) for name in weights if name not in fixed)


@pytest.mark.parametrize(
    "heir",
    [
        replace(PLAIN, width=12),
        replace(PLAIN, repeats=3),
        replace(PLAIN, frames=5),
        replace(PLAIN, stem_kernel=5, head_kernel=5),
        replace(PLAIN, block=Spec.code((1, CONV, 5, 0, 0), (2, CONV, 3, 1, 0), (3, 7, 0, 0, 0))),
    ],
)
def test_a_larger_network_starts_out_as_its_donor(heir: Spec) -> None:
    raw = torch.rand(1, 5, 4, 12, 12, generator=torch.Generator().manual_seed(3))
    weights = trained(PLAIN)
    given = picture(heir, inherited_weights(heir, PLAIN, weights, seed=2), raw)
    torch.testing.assert_close(given, picture(PLAIN, weights, raw), atol=1e-5, rtol=0)
    assert 0.0 < kinship(heir, PLAIN).share < 1.0
    assert kinship(PLAIN, heir).share == 1.0


def test_what_is_new_can_learn() -> None:
    heir = replace(PLAIN, width=12)
    inherited = inherited_weights(heir, PLAIN, trained(PLAIN), seed=2)
    # Its channels see the old ones, and only the way back begins at zero: else no gradient would ever flow.
    assert inherited["blocks.0.layer1.weight"][8:].abs().amin() > 0
    assert not inherited["blocks.0.layer1.weight"][:8, 8:].any()


def test_networks_whose_features_mean_something_else_share_nothing() -> None:
    for other in (replace(PLAIN, packing=4), replace(PLAIN, residual=1), replace(PLAIN, head=1)):
        assert kinship(PLAIN, other).share == 0.0
        torch.manual_seed(5)
        fresh = build(PLAIN).state_dict()
        inherited = inherited_weights(PLAIN, other, trained(other), seed=5)
        assert all(torch.equal(inherited[name], value) for name, value in fresh.items())


def test_layers_find_their_place_by_what_they_read() -> None:
    # A depthwise layer stands where a convolution stood: those behind it keep their place.
    changed = replace(PLAIN, block=Spec.code((1, DEPTHWISE, 3, 0, 0), (2, CONV, 3, 1, 0), (3, 7, 0, 0, 0)))
    common = kinship(changed, PLAIN)
    assert (common.places, common.layers) == ({0: 0, 1: 1, 2: 2}, {2: 2})
    # Renumbered, a block is the same block.
    one = Spec.code((1, CONV, 3, 0, 0), (2, CONV, 1, 0, 0), (3, ADD, 0, 1, 2), (4, 7, 0, 0, 0))
    two = Spec.code((1, CONV, 1, 0, 0), (2, CONV, 3, 0, 0), (3, ADD, 0, 1, 2), (4, 7, 0, 0, 0))
    assert kinship(replace(PLAIN, block=one), replace(PLAIN, block=two)).places == {0: 0, 1: 2, 2: 1, 3: 3}


def test_a_grouped_layer_is_taken_over_at_the_same_width_only() -> None:
    assert LayerType.GROUPED in {layer.type for layer in FORKED.block}
    assert 4 in kinship(FORKED, FORKED).layers
    assert 4 not in kinship(replace(FORKED, width=16), FORKED).layers


def test_a_nearer_network_shares_more() -> None:
    near, far = replace(PLAIN, width=10), replace(PLAIN, width=32, repeats=4)
    assert kinship(near, PLAIN).share > kinship(far, PLAIN).share > 0


def test_any_network_of_the_space_can_inherit_from_any_other() -> None:
    space = SearchSpace(recurrent=(0, 1), residual=(0, 1), heads=(0, 1))
    random = Random(0)
    specs = [space.sample_within(random, 2000.0) for _ in range(24)]
    shares = []
    for heir, donor in zip(specs, specs[1:] + specs[:1], strict=True):
        inherited = inherited_weights(heir, donor, trained(donor), seed=0)
        build(heir).load_state_dict(inherited)
        shares.append(kinship(heir, donor).share)
        assert all(bool(value.isfinite().all()) for value in inherited.values())
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert any(share > 0.0 for share in shares)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        inherited_weights(PLAIN, replace(PLAIN, width=12), {"nothing": torch.zeros(1)}, seed=0)
    assert caught.value.field == "inheritance.checkpoint"
