"""Augmentation that looks for what the network is bad at: Adversarial AutoAugment (arXiv 1912.11188).

:mod:`~autoisp_isp.augment.settings` has its numbers, :mod:`~autoisp_isp.augment.adversary` learns what to do,
:mod:`~autoisp_isp.augment.camera` does it to raw video and :mod:`~autoisp_isp.augment.images` to RGB
pictures.
"""
