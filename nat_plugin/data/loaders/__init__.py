"""The data sets that come with the package, by the name that a recipe uses."""

from nat_plugin.data.loaders.cifar import load_cifar10, load_cifar100
from nat_plugin.data.loaders.digits import load_digits
from nat_plugin.data.loaders.fashion_mnist import load_fashion_mnist
from nat_plugin.data.loaders.image_folder import load_image_folder
from nat_plugin.data.loaders.npz import load_npz
from nat_plugin.data.source import Loader

LOADERS: dict[str, Loader] = {
    "cifar10": load_cifar10,
    "cifar100": load_cifar100,
    "digits": load_digits,
    "fashion_mnist": load_fashion_mnist,
    "image_folder": load_image_folder,
    "npz": load_npz,
}
