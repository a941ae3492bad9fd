"""Networks that generate images, 2014 to 2016, and what looks into them."""

from keras_cnns.generative.dcgan import dcgan_discriminator, dcgan_generator
from keras_cnns.generative.dissection import causal_effect, dissect, intervene, optimise_units, presence
from keras_cnns.generative.gan import gan_discriminator, gan_generator
from keras_cnns.generative.inversion import interpolate, invert, latent_encoder, train_encoder
from keras_cnns.generative.labelled import conditional_generator, joint_generator, pair_discriminator
from keras_cnns.generative.sampling import latents_between, random_latents, sample

__all__ = [
    "causal_effect",
    "conditional_generator",
    "dcgan_discriminator",
    "dcgan_generator",
    "dissect",
    "gan_discriminator",
    "gan_generator",
    "interpolate",
    "intervene",
    "invert",
    "joint_generator",
    "latent_encoder",
    "latents_between",
    "optimise_units",
    "pair_discriminator",
    "presence",
    "random_latents",
    "sample",
    "train_encoder",
]
