"""In PyTorch what torchvision does not have: SegNet-Basic, FCN-8s, and pooling there and back alone."""

import torch
import torchvision
from torch import nn


class SegNetBasic(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LocalResponseNorm(5)
        self.encoders, self.decoders = nn.ModuleList(), nn.ModuleList()
        for i in range(4):
            encoder = conv_bn(3 if i == 0 else 64)
            self.encoders.append(encoder.append(nn.ReLU(inplace=True)).append(nn.MaxPool2d(2, return_indices=True)))
            self.decoders.append(conv_bn(64))
        self.unpool, self.classifier = nn.MaxUnpool2d(2), nn.Conv2d(64, 11, 1)

    def forward(self, x):
        x, places = self.norm(x), []
        for encoder in self.encoders:
            x, indices = encoder(x)
            places.append(indices)
        for decoder, indices in zip(self.decoders, reversed(places), strict=True):
            x = decoder(self.unpool(x, indices))
        return self.classifier(x)


def conv_bn(channels):
    return nn.Sequential(nn.Conv2d(channels, 64, 7, padding=3), nn.BatchNorm2d(64))


class FCN8s(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = torchvision.models.vgg16().features
        self.features[0].padding = (100, 100)
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
        fc6, fc7 = nn.Conv2d(512, 4096, 7), nn.Conv2d(4096, 4096, 1)
        self.head = nn.Sequential(fc6, nn.ReLU(inplace=True), nn.Dropout(), fc7, nn.ReLU(inplace=True), nn.Dropout())
        self.scores = nn.ModuleList(nn.Conv2d(channels, 21, 1) for channels in (4096, 512, 256))
        sizes = ((4, 2), (4, 2), (16, 8))
        self.upsamplings = nn.ModuleList(nn.ConvTranspose2d(21, 21, size, stride, bias=False) for size, stride in sizes)

    def forward(self, image):
        pool3 = self.features[:17](image)
        pool4 = self.features[17:24](pool3)
        x = self.upsamplings[0](self.scores[0](self.head(self.features[24:](pool4))))
        x = self.upsamplings[1](x + crop(self.scores[1](pool4), 5, x))
        x = self.upsamplings[2](x + crop(self.scores[2](pool3), 9, x))
        return crop(x, 31, image)


def crop(x, offset, like):
    height, width = like.shape[2:]
    return x[..., offset : offset + height, offset : offset + width]


def there_and_back(maps, upstream):
    """A step that pools, unpools to the positions of the maxima, and takes the gradient of both."""
    maps = maps.requires_grad_()

    def step():
        pooled, indices = nn.functional.max_pool2d(maps, 2, return_indices=True)
        gradient = torch.autograd.grad(nn.functional.max_unpool2d(pooled, indices, 2), maps, upstream)
        return gradient[0][0, 0, 0, 0].item()

    return step


NETWORKS = {"segnet_basic": SegNetBasic, "fcn8s": FCN8s}
