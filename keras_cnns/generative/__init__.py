"""Networks that generate images, 2014 to 2016."""

from keras_cnns.generative.dcgan import dcgan_discriminator, dcgan_generator
from keras_cnns.generative.gan import gan_discriminator, gan_generator
from keras_cnns.generative.sampling import latents_between, random_latents, sample

__all__ = [
    "dcgan_discriminator",
    "dcgan_generator",
    "gan_discriminator",
    "gan_generator",
    "latents_between",
    "random_latents",
    "sample",
]
