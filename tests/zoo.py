"""One row a network variant, numbers typed from the papers and the authors' files, none computed by the code.

Variant(builder, arguments, table in keras_cnns/papers, trainable parameters, parameters with moving statistics)
"""

from typing import NamedTuple


class Variant(NamedTuple):
    builder: str
    arguments: dict
    table: str
    trainable: int
    total: int


VARIANTS = [
    Variant("alexnet", {}, "alexnet", 60_965_224, 60_965_224),
    Variant("alexnet", {"two_towers": False}, "alexnet_ungrouped", 62_378_344, 62_378_344),
    Variant("resnet_cifar", {"depth": 20}, "cifar_resnet20", 269_722, 271_098),
    Variant("resnet_cifar", {"depth": 32}, "cifar_resnet32", 464_154, 466_426),
    Variant("resnet_cifar", {"depth": 44}, "cifar_resnet44", 658_586, 661_754),
    Variant("resnet_cifar", {"depth": 56}, "cifar_resnet56", 853_018, 857_082),
    Variant("resnet_cifar", {"depth": 110}, "cifar_resnet110", 1_727_962, 1_736_058),
    Variant("resnet_cifar", {"depth": 1202}, "cifar_resnet1202", 19_421_274, 19_510_906),
    Variant("resnet_cifar", {"depth": 20, "residual": False}, "cifar_plain20", 269_722, 271_098),
    Variant("resnet_cifar", {"depth": 56, "residual": False}, "cifar_plain56", 853_018, 857_082),
]

# One of each family at the smallest input it takes, with ten classes.
SMALLEST = [
    ("alexnet", {}, (64, 64, 3)),
    ("resnet_cifar", {"depth": 8}, (4, 4, 3)),
]
