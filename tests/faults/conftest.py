"""What the fault tests share."""

from support.running import own_product, product, wire

__all__ = ["own_product", "product", "wire"]
