"""Learning-rate schedules of the papers that Keras has not by that name."""

from collections.abc import Sequence

import keras


def step_decay(
    initial: float, at: Sequence[int], factor: float = 0.1, warm_up: tuple[float, int] | None = None
) -> keras.optimizers.schedules.LearningRateSchedule:
    """`initial`, multiplied by `factor` after each of the numbers of steps in `at`: "divided by 10 at 32k and 48k".

    warm_up: (learning rate, steps) to begin with. Source: ResNet on CIFAR-10 (He et al., CVPR 2016), section 4.2, with
        0.1 at first, and 0.01 for 400 steps to warm up its 110 layers.
    """
    rates = [initial * factor**drop for drop in range(len(at) + 1)]
    if warm_up:
        rates, at = [warm_up[0], *rates], [warm_up[1], *at]
    # Keras keeps a rate up to and including its boundary, and counts the first step as 0.
    return keras.optimizers.schedules.PiecewiseConstantDecay([step - 1 for step in at], rates)


def plateaus(steps: int) -> list[int]:
    """The steps after which the learning rate falls where a paper divides it "when the validation error stopped
    improving", three times, and prints no more: AlexNet's, after epochs 25, 51 and 79 of 90 by its authors' log.
    """
    return [steps * epoch // 90 for epoch in (25, 51, 79)]
