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


BC = {"bottleneck": True, "compression": 0.5}
TORCH = {"base_filters": 64, "kernel_size": 4}  # DCGAN's release for Torch
AT_500 = {"input_shape": (500, 500, 3)}
AT_800 = {"input_shape": (800, 800, 3)}

VARIANTS = [
    Variant("alexnet", {}, "alexnet", 60_965_224, 60_965_224),
    Variant("alexnet", {"two_towers": False}, "alexnet_ungrouped", 62_378_344, 62_378_344),
    Variant("resnet18", {}, "resnet18_B", 11_689_512, 11_699_112),
    Variant("resnet18", {"shortcut": "A"}, "resnet18_A", 11_515_688, 11_523_496),
    Variant("resnet34", {}, "resnet34_B", 21_797_672, 21_814_696),
    Variant("resnet34", {"shortcut": "A"}, "resnet34_A", 21_623_848, 21_639_080),
    Variant("resnet50", {}, "resnet50_B", 25_557_032, 25_610_152),
    Variant("resnet101", {}, "resnet101_B", 44_549_160, 44_654_504),
    Variant("resnet152", {}, "resnet152_B", 60_192_808, 60_344_232),
    Variant("plain18", {}, "plain18", 11_515_688, 11_523_496),
    Variant("plain34", {}, "plain34", 21_623_848, 21_639_080),
    Variant("zfnet", {}, "zfnet", 62_357_608, 62_357_608),
    Variant("overfeat", {}, "overfeat_fast", 145_920_872, 145_920_872),
    Variant("overfeat", {"variant": "accurate"}, "overfeat_accurate", 144_656_488, 144_656_488),
    Variant("vgg", {"configuration": "A"}, "vgg_A", 132_863_336, 132_863_336),
    Variant("vgg", {"configuration": "A-LRN"}, "vgg_A-LRN", 132_863_336, 132_863_336),
    Variant("vgg", {"configuration": "B"}, "vgg_B", 133_047_848, 133_047_848),
    Variant("vgg", {"configuration": "C"}, "vgg_C", 133_638_952, 133_638_952),
    Variant("vgg", {"configuration": "D"}, "vgg_D", 138_357_544, 138_357_544),
    Variant("vgg", {"configuration": "E"}, "vgg_E", 143_667_240, 143_667_240),
    Variant("googlenet", {"auxiliary_heads": False}, "googlenet_without_heads", 6_998_552, 6_998_552),
    Variant("googlenet", {}, "googlenet", 13_378_280, 13_378_280),
    Variant("resnet_cifar", {"depth": 20}, "cifar_resnet20", 269_722, 271_098),
    Variant("resnet_cifar", {"depth": 32}, "cifar_resnet32", 464_154, 466_426),
    Variant("resnet_cifar", {"depth": 44}, "cifar_resnet44", 658_586, 661_754),
    Variant("resnet_cifar", {"depth": 56}, "cifar_resnet56", 853_018, 857_082),
    Variant("resnet_cifar", {"depth": 110}, "cifar_resnet110", 1_727_962, 1_736_058),
    Variant("resnet_cifar", {"depth": 1202}, "cifar_resnet1202", 19_421_274, 19_510_906),
    Variant("resnet_cifar", {"depth": 20, "residual": False}, "cifar_plain20", 269_722, 271_098),
    Variant("resnet_cifar", {"depth": 56, "residual": False}, "cifar_plain56", 853_018, 857_082),
    Variant("densenet121", {}, "densenet121", 7_978_856, 8_062_504),
    Variant("densenet161", {}, "densenet161", 28_681_000, 28_900_936),
    Variant("densenet169", {}, "densenet169", 14_149_480, 14_307_880),
    Variant("densenet201", {}, "densenet201", 20_013_928, 20_242_984),
    Variant("densenet264", {}, "densenet264", 33_337_704, 33_736_232),
    Variant("densenet_cifar", {"depth": 40, "growth_rate": 12}, "cifar_densenet_40_12", 1_019_722, 1_037_818),
    Variant(
        "densenet_cifar",
        {"depth": 40, "growth_rate": 12, "initial_filters": 24},
        "cifar_densenet_40_12_lua2k",
        1_059_298,
        1_078_018,
    ),
    Variant("densenet_cifar", {"depth": 100, "growth_rate": 12}, "cifar_densenet_100_12", 6_979_642, 7_096_858),
    Variant(
        "densenet_cifar",
        {"depth": 100, "growth_rate": 12, "initial_filters": 24},
        "cifar_densenet_100_12_lua2k",
        7_083_538,
        7_202_338,
    ),
    Variant("densenet_cifar", {"depth": 100, "growth_rate": 24}, "cifar_densenet_100_24", 27_249_082, 27_480_346),
    Variant(
        "densenet_cifar",
        {"depth": 100, "growth_rate": 24, "initial_filters": 48},
        "cifar_densenet_100_24_lua2k",
        28_071_706,
        28_309_306,
    ),
    Variant(
        "densenet_cifar",
        {**BC, "depth": 100, "growth_rate": 12, "initial_filters": 24},
        "cifar_densenetBC_100_12",
        769_162,
        793_150,
    ),
    Variant(
        "densenet_cifar",
        {**BC, "depth": 250, "growth_rate": 24, "initial_filters": 48},
        "cifar_densenetBC_250_24",
        15_324_406,
        15_582_382,
    ),
    Variant(
        "densenet_cifar",
        {**BC, "depth": 190, "growth_rate": 40, "initial_filters": 80},
        "cifar_densenetBC_190_40",
        25_624_430,
        25_881_390,
    ),
    Variant("fcn32s", AT_500, "fcn32s", 136_152_917, 136_152_917),
    Variant("fcn16s", AT_500, "fcn16s", 134_815_994, 134_815_994),
    Variant("fcn8s", AT_500, "fcn8s", 134_489_759, 134_489_759),
    Variant("deconvnet", {}, "deconvnet", 251_805_653, 251_839_061),
    Variant("segnet", {}, "segnet", 29_449_355, 29_465_227),
    Variant("segnet_basic", {}, "segnet_basic", 1_416_587, 1_417_611),
    Variant("sppnet", {}, "sppnet", 77_037_672, 77_037_672),
    Variant("sppnet_detector", {"input_shape": (224, 224, 3)}, "sppnet_detector", 73_026_709, 73_026_709),
    Variant("gan_generator", {}, "gan_generator", 2_503_984, 2_503_984),
    Variant("gan_discriminator", {}, "gan_discriminator", 1_231_441, 1_231_441),
    Variant("dcgan_generator", {}, "dcgan_generator", 18_855_040, 18_858_880),
    Variant("dcgan_discriminator", {}, "dcgan_discriminator", 17_232_768, 17_236_352),
    Variant("dcgan_generator", TORCH, "dcgan_generator_torch", 3_576_704, 3_578_624),
    Variant("dcgan_discriminator", TORCH, "dcgan_discriminator_torch", 2_765_568, 2_767_360),
    Variant("rcnn", {}, "rcnn_alexnet", 56_954_261, 56_954_261),
    Variant("rcnn", {"trunk": "vgg16"}, "rcnn_vgg16", 134_346_581, 134_346_581),
    Variant("fast_rcnn", {"input_shape": (600, 1000, 3)}, "fast_rcnn", 134_690_729, 134_690_729),
    Variant("faster_rcnn", {"input_shape": (600, 1000, 3)}, "faster_rcnn", 137_078_239, 137_078_239),
    Variant("faster_rcnn", {"input_shape": (600, 1000, 3), "trunk": "zf"}, "faster_rcnn_zf", 59_294_751, 59_294_751),
    Variant("mask_rcnn", AT_800, "mask_rcnn", 44_400_436, 44_453_556),
    Variant("mask_rcnn", {**AT_800, "neck": "c4"}, "mask_rcnn_c4", 35_970_928, 36_024_048),
    Variant("yolo", {}, "yolo", 271_703_550, 271_703_550),
    Variant("yolo", {"variant": "fast"}, "yolo_fast", 45_089_374, 45_089_374),
    Variant("yolo", {"variant": "local"}, "yolo_local", 197_301_875, 197_328_243),
    Variant("yolo_classifier", {}, "yolo_classifier", 23_428_136, 23_428_136),
]

# These have tests of their own: they give no logits, but images, or what they have found.
NO_LOGITS = {"gan_generator", "gan_discriminator", "dcgan_generator", "dcgan_discriminator", "mask_rcnn"}

# One of each other family at the smallest input it takes, with ten classes.
SMALLEST = [
    ("alexnet", {}, (64, 64, 3)),
    ("zfnet", {}, (47, 47, 3)),
    ("overfeat", {}, (71, 71, 3)),
    ("vgg", {"configuration": "C"}, (32, 32, 3)),
    ("vgg11", {}, (32, 32, 3)),
    ("vgg13", {}, (32, 32, 3)),
    ("vgg16", {}, (32, 32, 3)),
    ("vgg19", {}, (32, 32, 3)),
    ("googlenet", {}, (79, 79, 3)),
    ("resnet18", {}, (17, 17, 3)),
    ("resnet34", {}, (17, 17, 3)),
    ("resnet50", {}, (17, 17, 3)),
    ("resnet101", {}, (17, 17, 3)),
    ("resnet152", {}, (17, 17, 3)),
    ("plain18", {}, (17, 17, 3)),
    ("plain34", {}, (17, 17, 3)),
    ("resnet_cifar", {"depth": 8}, (4, 4, 3)),
    ("densenet121", {}, (29, 29, 3)),
    ("densenet161", {}, (29, 29, 3)),
    ("densenet169", {}, (29, 29, 3)),
    ("densenet201", {}, (29, 29, 3)),
    ("densenet264", {}, (29, 29, 3)),
    ("densenet_cifar", {**BC, "depth": 10, "growth_rate": 4}, (4, 4, 3)),
    ("fcn32s", {"fc_filters": 64}, (1, 1, 3)),
    ("fcn16s", {"fc_filters": 64}, (1, 1, 3)),
    ("fcn8s", {"fc_filters": 64}, (1, 1, 3)),
    ("deconvnet", {"fc_filters": 64}, (193, 193, 3)),
    ("segnet", {}, (32, 32, 3)),
    ("segnet_basic", {}, (16, 16, 3)),
    ("sppnet", {}, (31, 31, 3)),
    ("sppnet_detector", {}, (31, 31, 3)),
    ("rcnn", {}, (64, 64, 3)),
    ("fast_rcnn", {}, (1, 1, 3)),
    ("faster_rcnn", {"trunk": "zf", "proposals": 3}, (1, 1, 3)),
    ("yolo", {"variant": "fast", "grid": 1}, (64, 64, 3)),
    ("yolo_classifier", {}, (32, 32, 3)),
]

# The functions of ResNet-18 and 50, VGG-16 and DenseNet-121 build these with other numbers of blocks: they are not
# taken through the family tests that train or save.
RELATIVES = {"resnet34", "resnet101", "resnet152", "plain34", "vgg11", "vgg13", "vgg19"}
RELATIVES |= {"densenet161", "densenet169", "densenet201", "densenet264"}

# What takes more than a few seconds to build, or to take a builder's network through the family tests.
SLOW_TABLES = {"cifar_resnet1202", "cifar_densenetBC_190_40", "cifar_densenetBC_250_24", "cifar_densenet_100_24"}
SLOW_TABLES |= {"cifar_densenet_100_24_lua2k", "densenet161", "densenet169", "densenet201", "densenet264"}
SLOW_TABLES |= {"resnet101_B", "resnet152_B", "overfeat_fast", "overfeat_accurate", "vgg_A-LRN", "vgg_B", "vgg_C"}
SLOW_TABLES |= {"fcn32s", "fcn16s", "deconvnet", "sppnet_detector", "fast_rcnn", "faster_rcnn", "yolo", "yolo_local"}
SLOW_TABLES |= {"rcnn_vgg16", "mask_rcnn"}
SLOW_BUILDERS = {"resnet50", "vgg16", "densenet121"}
SLOW_BUILDERS |= {"fcn16s", "fcn32s", "deconvnet", "sppnet_detector", "fast_rcnn", "faster_rcnn"}
SLOW_BUILDERS |= {"yolo", "yolo_classifier"}
