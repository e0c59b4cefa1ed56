"""Start a wider and deeper GMNet as the function that a narrower one has learnt (Net2Net, Chen et al. 2016)."""

import torch
from torch import Tensor

from models.gmnet import GMNet

SPREAD = 0.2  # how unevenly two copies of a channel share their part in what follows; evenly, they would never part


def widen(state: dict[str, Tensor], net: GMNet) -> None:
    """Give `net` the weights of a network with half its features and at most its blocks.

    A channel is doubled and its two copies share its former weight in the next layer. A block that the narrower
    network lacks begins as the identity.

    Raises:
        ValueError: the shapes are not those of half the features.
    """
    for name, own in net.state_dict().items():
        if name not in state:
            if ".conv2." in name:
                own.zero_()
            continue
        given = state[name]
        if own.shape[0] == 2 * given.shape[0]:
            given = torch.cat([given, given])
        if own.ndim > 1 and own.shape[1] == 2 * given.shape[1]:
            share = 0.5 + SPREAD * (2 * torch.rand_like(given) - 1)
            given = torch.cat([given * share, given * (1 - share)], dim=1)
        if own.shape != given.shape:
            raise ValueError(
                f"{name}: {tuple(own.shape)} cannot be made from {tuple(state[name].shape)}: half the features"
            )
        own.copy_(given)
